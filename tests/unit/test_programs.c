#include "daemon/programs.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEADLINE_MS 30000
#define SIZE 2500000 /* of a program: three pieces */

enum { ALICE = 11, MALLORY = 12, STORES = 3 };

struct answer {
	uint32_t count;
	int code;
	char text[ERROR_TEXT_SIZE];
	uint64_t upload, offset;
	bool stored;
};

/* Three machines, each with its programs. */
static struct {
	char top[64];
	struct loop *loop;
	struct programs *stores[STORES];
	struct answer answer;
	bool wanted;
	bool lies;      /* what store 0 reads for others is altered */
	unsigned silent; /* that many answers get lost as "not there" */
	struct {
		int count;
		bool there;
		char text[ERROR_TEXT_SIZE];
	} supplied;
	char *program;
	char hash[DIGEST_SIZE];
} fixture;

static size_t index_of(const void *context)
{
	return (size_t)(uintptr_t)context;
}

static void take_answer(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                        struct slice payload)
{
	size_t store = index_of(context);
	if (connection >= 100) { /* of another store */
		char *altered = NULL;
		if (store == 0 && fixture.lies && payload.size > 0) {
			altered = mem_alloc(payload.size);
			memcpy(altered, payload.data, payload.size);
			altered[payload.size / 2] ^= 1;
			payload.data = altered;
		}
		programs_answered(fixture.stores[connection - 100], stream, response, payload);
		mem_free(altered);
		return;
	}
	struct answer *answer = &fixture.answer;
	answer->count++;
	answer->code = response->error != NULL ? response->error->code : 0;
	snprintf(answer->text, sizeof answer->text, "%s", response->error != NULL ? response->error->text : "");
	if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_PROGRAM) {
		answer->upload = response->program->upload;
		answer->offset = response->program->offset;
		answer->stored = response->program->stored;
	}
	loop_stop(fixture.loop);
}

static void ask(void *context, uint32_t stream, const Clusterd__Wire__Request *request)
{
	size_t to = (size_t)request->read_program->node - 1;
	if (fixture.silent > 0) {
		Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
		Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
		fixture.silent--;
		error.code = ERR_TIMEOUT;
		error.text = (char *)(uintptr_t)"lost";
		response.error = &error;
		programs_answered(fixture.stores[index_of(context)], stream, &response, SLICE(""));
		return;
	}
	programs_request(fixture.stores[to], 100 + index_of(context), stream, request, SLICE(""));
}

/* All others, in their order; names are not looked at. */
static size_t holders(void *context, const struct slice *names, size_t count, uint64_t *ret_ids, size_t most)
{
	size_t found = 0;
	(void)names, (void)count;
	for (size_t i = 0; i < STORES && found < most; i++) {
		if (i != index_of(context))
			ret_ids[found++] = i + 1;
	}
	return found;
}

static bool wanted(void *context, const char *hash)
{
	(void)context, (void)hash;
	return fixture.wanted;
}

static void supplied(void *context, const char *hash, const char *path, const char *why)
{
	(void)context;
	assert_string_equal(hash, fixture.hash);
	fixture.supplied.count++;
	fixture.supplied.there = path != NULL;
	snprintf(fixture.supplied.text, sizeof fixture.supplied.text, "%s", path != NULL ? path : why);
	loop_stop(fixture.loop);
}

static void open_store(size_t index)
{
	static const struct programs_handler handler = {ask, holders, wanted, supplied, take_answer};
	struct error error = {0};
	char directory[100];
	snprintf(directory, sizeof directory, "%s/%zu", fixture.top, index);
	const struct programs_options options = {.directory = directory, .size_max = 3000000, .kept = 100, .seed = 7 + index};
	if (programs_create(fixture.loop, &options, &handler, (void *)(uintptr_t)index, &fixture.stores[index], &error) != 0)
		fail_msg("%s", error.text);
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *place)
{
	(void)status, (void)flag, (void)place;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	memset(&fixture, 0, sizeof fixture);
	strcpy(fixture.top, "/tmp/clusterd-test-XXXXXX");
	assert_non_null(mkdtemp(fixture.top));
	assert_int_equal(loop_create(&fixture.loop), 0);
	fixture.wanted = true;
	for (size_t i = 0; i < STORES; i++)
		open_store(i);
	fixture.program = mem_alloc(SIZE);
	for (size_t i = 0; i < SIZE; i++)
		fixture.program[i] = (char)(i * 7 + i / 251);
	struct digest *digest = digest_create();
	digest_add(digest, (struct slice){fixture.program, SIZE});
	digest_end(digest, fixture.hash);
	digest_destroy(digest);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < STORES; i++)
		programs_destroy(fixture.stores[i]);
	loop_destroy(fixture.loop);
	mem_free(fixture.program);
	nftw(fixture.top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void give_up(void *context)
{
	loop_stop(context);
}

static void run_until(int *counter, int before)
{
	struct loop_timer *timer = loop_timer_create(fixture.loop, give_up, fixture.loop);
	loop_timer_set(timer, loop_now(fixture.loop) + DEADLINE_MS);
	msec deadline = loop_now(fixture.loop) + DEADLINE_MS;
	while (*counter == before && loop_now(fixture.loop) < deadline)
		loop_run(fixture.loop); /* a stop from outside of it ends the next one, too */
	loop_timer_destroy(timer);
	assert_true(*counter > before);
}

/* A piece of this size to store 0; the code of the answer. */
static int send_piece(uint64_t connection, uint64_t upload, uint64_t offset, struct slice bytes)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__UploadProgram body = CLUSTERD__WIRE__UPLOAD_PROGRAM__INIT;
	int before = (int)fixture.answer.count;
	body.hash = fixture.hash;
	body.size = SIZE;
	body.upload = upload;
	body.offset = offset;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_UPLOAD_PROGRAM;
	request.upload_program = &body;
	programs_request(fixture.stores[0], connection, 1, &request, bytes);
	run_until((int *)&fixture.answer.count, before);
	return fixture.answer.code;
}

static int send_from(uint64_t upload, uint64_t offset)
{
	size_t rest = SIZE - (size_t)offset;
	return send_piece(ALICE, upload, offset, (struct slice){fixture.program + offset, rest < 1000000 ? rest : 1000000});
}

static uint64_t begin(void)
{
	assert_int_equal(send_piece(ALICE, 0, 0, SLICE("")), 0);
	assert_true(fixture.answer.upload != 0);
	return fixture.answer.upload;
}

static void upload_all(void)
{
	uint64_t upload = begin();
	for (uint64_t at = 0; at < SIZE; at += 1000000)
		assert_int_equal(send_from(upload, at), 0);
	assert_true(fixture.answer.stored);
}

static int files_in(size_t store, const char *prefix)
{
	char path[100];
	int count = 0;
	struct dirent *entry;
	snprintf(path, sizeof path, "%s/%zu", fixture.top, store);
	DIR *directory = opendir(path);
	while ((entry = readdir(directory)) != NULL)
		count += entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	closedir(directory);
	return count;
}

static void want(size_t store)
{
	struct job_program program = {.path = SLICE("p"), .hash = slice_of(fixture.hash), .size = SIZE};
	int before = fixture.supplied.count;
	programs_want(fixture.stores[store], &program);
	assert_int_equal(fixture.supplied.count, before); /* never from inside */
	run_until(&fixture.supplied.count, before);
}

/* --- from clients -------------------------------------------------------------------------------------------------- */

static void what_was_sent_whole_is_a_program(void **state)
{
	char path[200];
	struct stat status;
	(void)state;
	upload_all();
	snprintf(path, sizeof path, "%s/0/%s", fixture.top, fixture.hash);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, SIZE);
	assert_int_equal(status.st_mode & 07777, 0555);
	assert_int_equal(files_in(0, "part"), 0);
	assert_int_equal(send_piece(ALICE, 0, 0, SLICE("")), 0); /* again: it is there */
	assert_true(fixture.answer.stored);
}

static void what_was_altered_on_its_way_is_refused_and_gone(void **state)
{
	(void)state;
	uint64_t upload = begin();
	fixture.program[1234567] ^= 1;
	assert_int_equal(send_from(upload, 0), 0);
	assert_int_equal(send_from(upload, 1000000), 0);
	assert_int_equal(send_from(upload, 2000000), ERR_CORRUPT);
	assert_non_null(strstr(fixture.answer.text, fixture.hash));
	assert_int_equal(files_in(0, ""), 0);
}

static void what_was_not_sent_whole_is_no_program(void **state)
{
	(void)state;
	uint64_t upload = begin();
	assert_int_equal(send_from(upload, 0), 0);
	assert_false(fixture.answer.stored);
	assert_int_equal(files_in(0, fixture.hash), 0);
	assert_int_equal(files_in(0, "part"), 1);
	programs_closed(fixture.stores[0], MALLORY);
	assert_int_equal(files_in(0, "part"), 1);
	programs_closed(fixture.stores[0], ALICE);
	assert_int_equal(files_in(0, ""), 0);
	assert_int_equal(send_from(upload, 1000000), ERR_NOT_FOUND);
}

static void nobody_else_adds_to_it(void **state)
{
	(void)state;
	uint64_t upload = begin();
	assert_int_equal(send_piece(MALLORY, upload, 0, SLICE("evil")), ERR_NOT_FOUND);
	assert_int_equal(send_piece(MALLORY, upload + 1, 0, SLICE("evil")), ERR_NOT_FOUND);
	for (uint64_t at = 0; at < SIZE; at += 1000000)
		assert_int_equal(send_from(upload, at), 0);
	assert_true(fixture.answer.stored);
}

static void pieces_come_in_order_and_fit(void **state)
{
	(void)state;
	uint64_t upload = begin();
	assert_int_equal(send_from(upload, 0), 0);
	assert_int_equal(send_from(upload, 2000000), ERR_CONFLICT); /* one is missing */
	assert_int_equal(send_from(upload, 0), ERR_CONFLICT);       /* it is there already */
	assert_int_equal(send_piece(ALICE, upload, 1000000, SLICE("")), ERR_LIMIT);
	assert_int_equal(send_piece(ALICE, upload, 1000000, (struct slice){fixture.program, PROGRAM_PIECE_MAX + 1}), ERR_LIMIT);
	assert_int_equal(send_from(upload, 1000000), 0);
	assert_int_equal(send_piece(ALICE, upload, 2000000, (struct slice){fixture.program, 1000000}), ERR_INVALID);
	assert_int_equal(send_from(upload, 2000000), 0);
	assert_true(fixture.answer.stored);
}

static void what_can_be_no_program_is_refused(void **state)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__UploadProgram body = CLUSTERD__WIRE__UPLOAD_PROGRAM__INIT;
	(void)state;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_UPLOAD_PROGRAM;
	request.upload_program = &body;
	body.hash = (char *)(uintptr_t)"../../../../etc/passwd";
	body.size = 5;
	programs_request(fixture.stores[0], ALICE, 1, &request, SLICE(""));
	assert_int_equal(fixture.answer.code, ERR_INVALID);
	body.hash = fixture.hash;
	body.size = 0;
	programs_request(fixture.stores[0], ALICE, 1, &request, SLICE(""));
	assert_int_equal(fixture.answer.code, ERR_INVALID);
	body.size = 3000001;
	programs_request(fixture.stores[0], ALICE, 1, &request, SLICE(""));
	assert_int_equal(fixture.answer.code, ERR_LIMIT);
	assert_non_null(strstr(fixture.answer.text, "3000001"));
	assert_non_null(strstr(fixture.answer.text, "3000000"));
}

static void there_are_not_too_many_at_once(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < PROGRAM_UPLOADS_MAX; i++)
		begin();
	assert_int_equal(send_piece(MALLORY, 0, 0, SLICE("")), ERR_BUSY);
	programs_closed(fixture.stores[0], ALICE);
	assert_int_equal(send_piece(MALLORY, 0, 0, SLICE("")), 0);
}

static void what_was_half_there_is_not_after_a_restart(void **state)
{
	(void)state;
	upload_all();
	fixture.program[0] ^= 1;
	struct digest *digest = digest_create();
	digest_add(digest, (struct slice){fixture.program, SIZE});
	digest_end(digest, fixture.hash);
	digest_destroy(digest);
	assert_int_equal(send_from(begin(), 0), 0);
	assert_int_equal(files_in(0, ""), 2);
	char kept[200];
	snprintf(kept, sizeof kept, "%s/0/part.77", fixture.top);
	fclose(fopen(kept, "w")); /* of a life that ended in the middle of it */
	programs_destroy(fixture.stores[0]);
	open_store(0);
	assert_int_equal(files_in(0, ""), 1);
	assert_int_equal(files_in(0, "part"), 0);
}

/* --- from other nodes ---------------------------------------------------------------------------------------------- */

static void what_another_node_has_is_fetched(void **state)
{
	(void)state;
	upload_all();
	want(1);
	assert_true(fixture.supplied.there);
	assert_int_equal(files_in(1, fixture.hash), 1);
	want(1); /* it is here */
	assert_true(fixture.supplied.there);
	want(0);
	assert_true(fixture.supplied.there);
}

static void what_is_lost_on_the_way_is_asked_for_again(void **state)
{
	(void)state;
	upload_all();
	fixture.silent = 2;
	want(2);
	assert_true(fixture.supplied.there);
	assert_int_equal(files_in(2, fixture.hash), 1);
}

static void what_a_node_has_altered_comes_from_another_one(void **state)
{
	(void)state;
	upload_all();
	want(1);
	fixture.lies = true; /* store 0 is asked first */
	want(2);
	assert_true(fixture.supplied.there);
	assert_int_equal(files_in(2, fixture.hash), 1);
}

static void what_is_altered_everywhere_cannot_be_had(void **state)
{
	(void)state;
	upload_all();
	fixture.lies = true;
	want(2);
	assert_false(fixture.supplied.there);
	assert_int_equal(files_in(2, ""), 0);
}

static void what_nobody_has_cannot_be_had(void **state)
{
	(void)state;
	want(1);
	assert_false(fixture.supplied.there);
	assert_non_null(strstr(fixture.supplied.text, "from any of 2 nodes"));
	upload_all();
	want(1); /* tried again */
	assert_true(fixture.supplied.there);
}

static void one_that_a_task_has_written_to_is_nobodys_program(void **state)
{
	char path[200];
	(void)state;
	upload_all();
	want(1);
	snprintf(path, sizeof path, "%s/1/%s", fixture.top, fixture.hash);
	assert_int_equal(chmod(path, 0755), 0);
	FILE *file = fopen(path, "r+");
	assert_non_null(file);
	fputs("evil", file);
	fclose(file);
	want(1);
	assert_true(fixture.supplied.there);
	file = fopen(path, "r");
	assert_int_equal(fgetc(file), fixture.program[0]);
	fclose(file);
}

static void look_again(void *context)
{
	if (files_in(0, "") == 0)
		loop_stop(fixture.loop);
	else
		loop_timer_set(*(struct loop_timer **)context, loop_now(fixture.loop) + 20);
}

static void one_that_no_job_refers_to_goes_after_a_time(void **state)
{
	(void)state;
	upload_all();
	struct loop_timer *timer = NULL;
	timer = loop_timer_create(fixture.loop, look_again, &timer);
	fixture.wanted = false;
	loop_timer_set(timer, loop_now(fixture.loop));
	loop_run(fixture.loop);
	loop_timer_destroy(timer);
	assert_int_equal(files_in(0, ""), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_sent_whole_is_a_program),
		TEST(what_was_altered_on_its_way_is_refused_and_gone),
		TEST(what_was_not_sent_whole_is_no_program),
		TEST(nobody_else_adds_to_it),
		TEST(pieces_come_in_order_and_fit),
		TEST(what_can_be_no_program_is_refused),
		TEST(there_are_not_too_many_at_once),
		TEST(what_was_half_there_is_not_after_a_restart),
		TEST(what_another_node_has_is_fetched),
		TEST(what_is_lost_on_the_way_is_asked_for_again),
		TEST(what_a_node_has_altered_comes_from_another_one),
		TEST(what_is_altered_everywhere_cannot_be_had),
		TEST(what_nobody_has_cannot_be_had),
		TEST(one_that_a_task_has_written_to_is_nobodys_program),
		TEST(one_that_no_job_refers_to_goes_after_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
