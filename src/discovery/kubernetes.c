/* What is ready behind a service of Kubernetes, asked of its API as a pod may: by the service account's token, which is read anew each
 * time, since tokens rotate. EndpointSlices, or Endpoints where the cluster has none or lets nobody see them. */
#include "base/memory.h"
#include "discovery/slices.h"
#include "discovery/source.h"
#include "discovery/whole_file.h"
#include "net/https.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KUBERNETES_PERIOD_MS 5000
#define KUBERNETES_TIMEOUT_MS 10000     /* of one question */
#define KUBERNETES_ANSWER_MAX (1 << 20) /* bytes; a pod is some 400 in it */
#define KUBERNETES_TOKEN_MAX (16 * 1024)
#define KUBERNETES_AUTHORITIES_MAX (256 * 1024)
#define KUBERNETES_NAME_MAX 63 /* of services, namespaces and ports (RFC 1123 labels) */
#define KUBERNETES_MESSAGE_MAX 200
#define MOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/* What stands in the pod, and where the API is: found on the thread, and its own, since a disk or a name server may hang. */
struct pod {
	struct job job;
	struct kubernetes *kubernetes;
	char *mount;
	char *host_port;
	bool namespace_wanted;
	struct buffer token;
	struct buffer authorities;
	struct buffer namespace;
	struct address addresses[ADDRESS_CHOICES];
	size_t address_count;
	struct error error;
};

struct kubernetes {
	struct source *source;
	char service[KUBERNETES_NAME_MAX + 1];
	char namespace[KUBERNETES_NAME_MAX + 1]; /* "": that of the mount */
	char port[KUBERNETES_NAME_MAX + 1];      /* "": see slices.h */
	char *mount;
	char *host; /* of the API; NULL: this is no pod */
	char *host_port;

	/* Of the look that is under way. */
	struct pod *pod; /* NULL: none, or it is being looked at */
	struct error error;
	bool endpoints; /* slices were asked for already */
	struct https *https;
};

/* --- how it is spelled --------------------------------------------------------------------------------------------- */

static int take_name(const char **at, const char *ends, const char *what, char ret_name[KUBERNETES_NAME_MAX + 1],
                     struct error *error)
{
	size_t size = strcspn(*at, ends);
	if (size == 0 || size > KUBERNETES_NAME_MAX || strspn(*at, "abcdefghijklmnopqrstuvwxyz0123456789-") < size)
		return error_set(error, ERR_INVALID, "\"%.*s\" is not the name of a %s: up to %d small letters, digits and -",
		                 size < 100 ? (int)size : 100, *at, what, KUBERNETES_NAME_MAX);
	memcpy(ret_name, *at, size);
	ret_name[size] = '\0';
	*at += size;
	return 0;
}

static int parse(const char *text, struct kubernetes *ret, struct error *error)
{
	const char *at = text;
	int code = take_name(&at, ".:", "service", ret->service, error);
	if (code == 0 && *at == '.') {
		at++;
		code = take_name(&at, ":", "namespace", ret->namespace, error);
	}
	if (code == 0 && *at == ':') {
		at++;
		code = take_name(&at, "", "port", ret->port, error);
	}
	bool number = ret->port[0] != '\0' && ret->port[strspn(ret->port, "0123456789")] == '\0';
	if (code == 0 && number && (strlen(ret->port) > 5 || strtoul(ret->port, NULL, 10) - 1 >= UINT16_MAX))
		code = error_set(error, ERR_INVALID, "port %s is not from 1 to 65535", ret->port);
	return code;
}

static int check(const char *text, struct error *error)
{
	struct kubernetes parsed = {0};
	if (parse(text, &parsed, error) == 0)
		return 0;
	return error_prefix(error, "\"k8s:%.200s\" is not k8s:SERVICE[.NAMESPACE][:PORT]", text);
}

/* --- what stands in the pod, on the thread ------------------------------------------------------------------------- */

static void trim(struct buffer *text)
{
	while (text->size > 0 && strchr(" \t\r\n", text->data[text->size - 1]) != NULL)
		text->size--;
}

static int read_part(const struct pod *pod, const char *name, size_t size_max, struct buffer *out,
                     struct error *error)
{
	char *path = mem_format("%s/%s", pod->mount, name);
	buffer_clear(out);
	int code = whole_file_read(path, size_max, out, error);
	trim(out);
	if (code == 0 && (out->size == 0 || memchr(out->data, '\0', out->size) != NULL))
		code = error_set(error, ERR_INVALID, "%s is not what it should be: it is empty, or no text", path);
	mem_free(path);
	return code;
}

static int read_namespace(struct pod *pod, struct error *error)
{
	char name[KUBERNETES_NAME_MAX + 1];
	if (!pod->namespace_wanted)
		return 0;
	int code = read_part(pod, "namespace", KUBERNETES_NAME_MAX + 1, &pod->namespace, error);
	if (code != 0)
		return code;
	const char *at = buffer_string(&pod->namespace);
	return take_name(&at, "", "namespace", name, error);
}

static void look_at_pod(struct job *job)
{
	struct pod *pod = (struct pod *)job;
	struct error *error = &pod->error;
	if (pod->host_port == NULL) {
		error_set(error, ERR_NOT_FOUND, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not in the environment, as "
		          "they are in a pod");
		return;
	}
	int code = read_part(pod, "token", KUBERNETES_TOKEN_MAX, &pod->token, error);
	if (code == 0)
		code = read_part(pod, "ca.crt", KUBERNETES_AUTHORITIES_MAX, &pod->authorities, error);
	if (code == 0)
		code = read_namespace(pod, error);
	if (code == 0)
		code = address_resolve(pod->host_port, false, pod->addresses, &pod->address_count, error);
	if (code == 0 && pod->address_count == 0)
		error_set(error, ERR_NOT_FOUND, "address \"%s\": no addresses", pod->host_port);
}

static void drop(struct job *job)
{
	struct pod *pod = (struct pod *)job;
	if (pod->token.capacity > 0)
		explicit_bzero(pod->token.data, pod->token.capacity);
	buffer_finish(&pod->token);
	buffer_finish(&pod->authorities);
	buffer_finish(&pod->namespace);
	mem_free(pod->mount);
	mem_free(pod->host_port);
	mem_free(pod);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static void forget_look(struct kubernetes *kubernetes)
{
	https_destroy(kubernetes->https);
	kubernetes->https = NULL;
	if (kubernetes->pod != NULL)
		drop(&kubernetes->pod->job);
	kubernetes->pod = NULL;
}

static void failed(struct kubernetes *kubernetes)
{
	forget_look(kubernetes);
	source_failed(kubernetes->source, &kubernetes->error);
}

static void answered(void *context, int status, struct slice body, const struct error *error);

static void ask(struct kubernetes *kubernetes)
{
	struct pod *pod = kubernetes->pod;
	const char *namespace = pod->namespace_wanted ? buffer_string(&pod->namespace) : kubernetes->namespace;
	char *path = kubernetes->endpoints
	                     ? mem_format("/api/v1/namespaces/%s/endpoints/%s", namespace, kubernetes->service)
	                     : mem_format("/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices"
	                                  "?labelSelector=kubernetes.io%%2Fservice-name%%3D%s",
	                                  namespace, kubernetes->service);
	/* Another one of its addresses each time: one of them may be dead. */
	struct https_request request = {
		.host = kubernetes->host,
		.address = &pod->addresses[kubernetes->source->looks % pod->address_count],
		.path = path,
		.authorities = buffer_slice(&pod->authorities),
		.token = buffer_string(&pod->token),
		.answer_max = KUBERNETES_ANSWER_MAX,
		.timeout = KUBERNETES_TIMEOUT_MS,
	};
	int code = https_get(kubernetes->source->loop, &request, answered, kubernetes, &kubernetes->https, &kubernetes->error);
	mem_free(path);
	if (code != 0) {
		error_prefix(&kubernetes->error, "asking %s", kubernetes->host_port);
		failed(kubernetes);
	}
}

static void refused(struct kubernetes *kubernetes, int status, struct slice body)
{
	struct buffer message = BUFFER_EMPTY;
	slices_message(body, &message);
	error_set(&kubernetes->error, status == 401 || status == 403 ? ERR_DENIED : status == 404 ? ERR_NOT_FOUND : ERR_CLOSED,
	          "%s answers %d for %s%s%.*s", kubernetes->host_port, status,
	          kubernetes->endpoints ? "endpoints" : "endpointslices", message.size > 0 ? ": " : "",
	          message.size < KUBERNETES_MESSAGE_MAX ? (int)message.size : KUBERNETES_MESSAGE_MAX,
	          message.size > 0 ? message.data : "");
	buffer_finish(&message);
	failed(kubernetes);
}

static void answered(void *context, int status, struct slice body, const struct error *error)
{
	struct kubernetes *kubernetes = context;
	struct places places;
	if (error != NULL) {
		kubernetes->error = *error;
		error_prefix(&kubernetes->error, "asking %s", kubernetes->host_port);
		failed(kubernetes);
		return;
	}
	if ((status == 403 || status == 404) && !kubernetes->endpoints) {
		https_destroy(kubernetes->https);
		kubernetes->https = NULL;
		kubernetes->endpoints = true;
		ask(kubernetes);
		return;
	}
	if (status != 200) {
		refused(kubernetes, status, body);
		return;
	}
	if ((kubernetes->endpoints ? endpoints_read : slices_read)(body, kubernetes->port, &places, &kubernetes->error) != 0) {
		error_prefix(&kubernetes->error, "asking %s for %s", kubernetes->host_port,
		             kubernetes->endpoints ? "endpoints" : "endpointslices");
		failed(kubernetes);
		return;
	}
	forget_look(kubernetes);
	source_found(kubernetes->source, &places);
}

static void pod_looked_at(struct job *job)
{
	struct pod *pod = (struct pod *)job;
	struct kubernetes *kubernetes = pod->kubernetes;
	kubernetes->pod = pod;
	kubernetes->error = pod->error;
	if (pod->error.code != 0)
		failed(kubernetes);
	else
		ask(kubernetes);
}

static void look(struct source *source)
{
	struct kubernetes *kubernetes = source->own;
	struct pod *pod = mem_zero(sizeof *pod);
	pod->job.run = look_at_pod;
	pod->job.done = pod_looked_at;
	pod->kubernetes = kubernetes;
	pod->mount = mem_string(kubernetes->mount);
	pod->host_port = mem_string(kubernetes->host_port);
	pod->namespace_wanted = kubernetes->namespace[0] == '\0';
	kubernetes->endpoints = false;
	source_give(source, &pod->job);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static void open_kubernetes(struct source *source, const struct discovery_options *options)
{
	struct kubernetes *kubernetes = mem_zero(sizeof *kubernetes);
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT_HTTPS"); /* where a port without HTTPS is there, too */
	if (port == NULL)
		port = getenv("KUBERNETES_SERVICE_PORT");
	kubernetes->source = source;
	kubernetes->mount = mem_string(options->mount != NULL ? options->mount : MOUNT);
	if (host != NULL && host[0] != '\0' && port != NULL) {
		kubernetes->host = mem_string(host);
		kubernetes->host_port = mem_format(strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
	}
	parse(source->text, kubernetes, NULL);
	source->own = kubernetes;
}

static void close_kubernetes(struct source *source)
{
	struct kubernetes *kubernetes = source->own;
	forget_look(kubernetes);
	mem_free(kubernetes->mount);
	mem_free(kubernetes->host);
	mem_free(kubernetes->host_port);
	mem_free(kubernetes);
}

const struct source_kind source_kubernetes = {
	"k8s:", KUBERNETES_PERIOD_MS, check, open_kubernetes, look, close_kubernetes, drop,
};
