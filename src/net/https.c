#include "net/https.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "net/turn.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>

struct https {
	struct loop *loop;
	https_answered *answered;
	void *context;
	SSL_CTX *tls;
	SSL *session; /* the connection's */
	struct evhttp_connection *connection;
	struct loop_timer *timer;
	struct loop_task done;
	char *host;
	size_t answer_max;
	msec timeout;
	int status;
	struct buffer body;
	struct error error;
};

/* --- trust --------------------------------------------------------------------------------------------------------- */

static int trust(SSL_CTX *tls, struct slice authorities, struct error *error)
{
	X509_STORE *store = SSL_CTX_get_cert_store(tls);
	BIO *text = authorities.size <= INT_MAX ? BIO_new_mem_buf(authorities.data, (int)authorities.size) : NULL;
	int count = 0;
	X509 *certificate;
	while (text != NULL && (certificate = PEM_read_bio_X509(text, NULL, NULL, NULL)) != NULL) {
		count += X509_STORE_add_cert(store, certificate);
		X509_free(certificate);
	}
	BIO_free(text);
	ERR_clear_error(); /* the end of the text counts as one */
	return count > 0 ? 0 : error_set(error, ERR_INVALID, "no certificate to trust (PEM) is in it");
}

static bool is_number(const char *host)
{
	ASN1_OCTET_STRING *number = a2i_IPADDRESS(host);
	ASN1_OCTET_STRING_free(number);
	ERR_clear_error();
	return number != NULL;
}

/* The certificate must be for this host, by name or by number (RFC 9110 §4.3.4). */
static bool expect_host(SSL *session, const char *host)
{
	if (is_number(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) == 1;
	SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(session, host) == 1 && SSL_set_tlsext_host_name(session, host) == 1;
}

static int open_tls(struct https *https, const struct https_request *request, struct error *error)
{
	https->tls = SSL_CTX_new(TLS_client_method());
	if (https->tls == NULL || SSL_CTX_set_min_proto_version(https->tls, TLS1_2_VERSION) != 1)
		return error_set(error, ERR_IO, "TLS cannot be had: %s", ERR_reason_error_string(ERR_get_error()));
	SSL_CTX_set_verify(https->tls, SSL_VERIFY_PEER, NULL);
	int code = trust(https->tls, request->authorities, error);
	if (code != 0)
		return code;
	https->session = SSL_new(https->tls);
	if (https->session == NULL || !expect_host(https->session, request->host))
		return error_set(error, ERR_INVALID, "\"%s\" is no host that a certificate can be for", request->host);
	return 0;
}

/* --- what comes of it ---------------------------------------------------------------------------------------------- */

/* Told outside of the library's calls, so that whoever hears of it may destroy what is here. */
static void tell(void *context)
{
	struct https *https = context;
	loop_timer_set(https->timer, MSEC_NEVER);
	https->answered(https->context, https->status, buffer_slice(&https->body), https->error.code != 0 ? &https->error : NULL);
}

static void end(struct https *https)
{
	loop_task_queue(https->loop, LOOP_READY, &https->done);
}

static void late(void *context)
{
	struct https *https = context;
	if (https->done.queued)
		return;
	error_set(&https->error, ERR_TIMEOUT, "no answer within %lld ms", (long long)https->timeout);
	evhttp_connection_free(https->connection);
	https->connection = NULL;
	end(https);
}

static void failed(enum evhttp_request_error what, void *context)
{
	struct https *https = context;
	switch (what) {
	case EVREQ_HTTP_DATA_TOO_LONG:
		error_set(&https->error, ERR_LIMIT, "the answer is larger than %zu bytes, or its headers than %d", https->answer_max,
		          HTTPS_HEADERS_MAX);
		break;
	case EVREQ_HTTP_INVALID_HEADER:
		error_set(&https->error, ERR_INVALID, "the answer is not HTTP");
		break;
	case EVREQ_HTTP_TIMEOUT:
		error_set(&https->error, ERR_TIMEOUT, "no answer within %lld ms", (long long)https->timeout);
		break;
	case EVREQ_HTTP_EOF:
	case EVREQ_HTTP_BUFFER_ERROR:
	case EVREQ_HTTP_REQUEST_CANCEL:
		break; /* a reason is looked for below */
	}
}

static void find_reason(struct https *https)
{
	long verified = SSL_get_verify_result(https->session);
	struct bufferevent *bytes = evhttp_connection_get_bufferevent(https->connection);
	const char *reason = ERR_reason_error_string(bufferevent_get_openssl_error(bytes)); /* NULL: the system's, not of TLS */
	if (verified != X509_V_OK)
		error_set(&https->error, ERR_DENIED, "its certificate is not one to trust for %s: %s", https->host,
		          X509_verify_cert_error_string(verified));
	else if (reason != NULL)
		error_set(&https->error, ERR_CLOSED, "TLS: %s", reason);
	else if (SSL_is_init_finished(https->session))
		error_set(&https->error, ERR_CLOSED, "the connection ended before the answer did");
	else
		error_set(&https->error, ERR_CLOSED, "no connection: nobody listens there, or it ended before TLS was agreed on");
}

static void answered(struct evhttp_request *request, void *context)
{
	struct https *https = context;
	int status = request != NULL ? evhttp_request_get_response_code(request) : 0;
	if (https->error.code == 0 && status == 0)
		find_reason(https);
	if (https->error.code == 0) {
		struct evbuffer *body = evhttp_request_get_input_buffer(request);
		size_t size = evbuffer_get_length(body);
		https->status = status;
		evbuffer_remove(body, buffer_reserve(&https->body, size), size);
		https->body.size = size;
	}
	end(https);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static int connect_to(struct https *https, const struct https_request *request, struct error *error)
{
	char text[ADDRESS_TEXT_SIZE];
	address_format(request->address, text);
	SSL_up_ref(https->session); /* one is the connection's from here on, even when it fails */
	struct bufferevent *bytes =
		bufferevent_openssl_socket_new(loop_base(https->loop), -1, https->session, BUFFEREVENT_SSL_CONNECTING,
		                               BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (bytes == NULL)
		return error_set(error, ERR_IO, "no connection can be made");
	/* A number: nothing is looked up. */
	char *colon = strrchr(text, ':');
	*colon = '\0';
	char *number = text[0] == '[' ? mem_format("%.*s", (int)strlen(text) - 2, text + 1) : mem_string(text);
	https->connection =
		evhttp_connection_base_bufferevent_new(loop_base(https->loop), NULL, bytes, number, address_port(request->address));
	mem_free(number);
	if (https->connection == NULL) {
		bufferevent_free(bytes);
		return error_set(error, ERR_IO, "no connection can be made");
	}
	evhttp_connection_set_max_headers_size(https->connection, HTTPS_HEADERS_MAX);
	evhttp_connection_set_max_body_size(https->connection, (ev_ssize_t)request->answer_max);
	return 0;
}

static int ask(struct https *https, const struct https_request *request, struct error *error)
{
	struct evhttp_request *question = evhttp_request_new(answered, https);
	struct evkeyvalq *headers = evhttp_request_get_output_headers(question);
	uint16_t port = address_port(request->address);
	char *host = mem_format(strchr(request->host, ':') != NULL ? "[%s]:%u" : "%s:%u", request->host, port);
	char *bearer = mem_format("Bearer %s", request->token != NULL ? request->token : "");
	bool fine = evhttp_add_header(headers, "Host", host) == 0 && evhttp_add_header(headers, "Connection", "close") == 0 &&
	            evhttp_add_header(headers, "Accept", "application/json") == 0 &&
	            (request->token == NULL || evhttp_add_header(headers, "Authorization", bearer) == 0);
	explicit_bzero(bearer, strlen(bearer));
	mem_free(bearer);
	mem_free(host);
	if (!fine) {
		evhttp_request_free(question);
		return error_set(error, ERR_INVALID, "the token has characters that no header can hold");
	}
	evhttp_request_set_error_cb(question, failed);
	if (evhttp_make_request(https->connection, question, EVHTTP_REQ_GET, request->path) != 0)
		return error_set(error, ERR_CLOSED, "no connection: %s", strerror(errno));
	return 0;
}

int https_get(struct loop *loop, const struct https_request *request, https_answered *call, void *context,
              struct https **ret_https, struct error *error)
{
	struct https *https = mem_zero(sizeof *https);
	*https = (struct https){
		.loop = loop,
		.answered = call,
		.context = context,
		.done = {.call = tell, .context = https},
		.host = mem_string(request->host),
		.answer_max = request->answer_max,
		.timeout = request->timeout,
	};
	https->timer = loop_timer_create(loop, late, https);
	int code = open_tls(https, request, error);
	if (code == 0)
		code = connect_to(https, request, error);
	if (code == 0)
		code = ask(https, request, error);
	if (code != 0) {
		https_destroy(https);
		return code;
	}
	loop_timer_set(https->timer, loop_now(loop) + request->timeout);
	*ret_https = https;
	return 0;
}

void https_destroy(struct https *https)
{
	if (https == NULL)
		return;
	loop_task_cancel(https->loop, LOOP_READY, &https->done);
	loop_timer_destroy(https->timer);
	if (https->connection != NULL)
		evhttp_connection_free(https->connection);
	SSL_free(https->session);
	SSL_CTX_free(https->tls);
	buffer_finish(&https->body);
	mem_free(https->host);
	mem_free(https);
}
