#include "fake_api.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define FILE_SIZE (4 << 20)

struct fake_api {
	char *directory;
	SSL_CTX *tls;
	struct event_base *base;
	struct evhttp *http;
	uint16_t port;
};

static void must(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "fake_api: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- certificates -------------------------------------------------------------------------------------------------- */

static void extend(X509 *certificate, X509 *issuer, int what, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, what, value);
	must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1, value);
	X509_EXTENSION_free(extension);
}

static X509 *new_certificate(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *alternative)
{
	static long serial = 1;
	X509 *certificate = X509_new();
	must(certificate != NULL, "certificate");
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 24L * 3600);
	X509_set_pubkey(certificate, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(issuer != NULL ? issuer : certificate));
	extend(certificate, issuer != NULL ? issuer : certificate, NID_basic_constraints, issuer != NULL ? "CA:FALSE" : "critical,CA:TRUE");
	if (alternative != NULL)
		extend(certificate, issuer, NID_subject_alt_name, alternative);
	must(X509_sign(certificate, issuer_key, EVP_sha256()) > 0, "sign");
	return certificate;
}

static void make_certificates(struct fake_api *api, const char *host, const char *authorities_file)
{
	struct in6_addr number;
	char alternative[300];
	bool is_number = inet_pton(AF_INET, host, &number) == 1 || inet_pton(AF_INET6, host, &number) == 1;
	snprintf(alternative, sizeof alternative, "%s:%.256s", is_number ? "IP" : "DNS", host);
	EVP_PKEY *authority_key = EVP_EC_gen("P-256");
	EVP_PKEY *key = EVP_EC_gen("P-256");
	must(authority_key != NULL && key != NULL, "keys");
	X509 *authority = new_certificate("authority", authority_key, NULL, authority_key, NULL);
	X509 *certificate = new_certificate("server", key, authority, authority_key, alternative);
	FILE *file = fopen(authorities_file, "we");
	must(file != NULL && PEM_write_X509(file, authority) == 1 && fclose(file) == 0, authorities_file);
	must(SSL_CTX_use_certificate(api->tls, certificate) == 1 && SSL_CTX_use_PrivateKey(api->tls, key) == 1, "use the certificate");
	X509_free(authority);
	X509_free(certificate);
	EVP_PKEY_free(authority_key);
	EVP_PKEY_free(key);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

/* NULL: there is none. */
static char *read_file(const struct fake_api *api, const char *name, size_t *ret_size)
{
	char path[PATH_SIZE];
	snprintf(path, sizeof path, "%s/%s", api->directory, name);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return NULL;
	char *text = malloc(FILE_SIZE + 1);
	must(text != NULL, "memory");
	size_t size = fread(text, 1, FILE_SIZE, file);
	fclose(file);
	text[size] = '\0';
	if (ret_size != NULL)
		*ret_size = size;
	return text;
}

static void note(const struct fake_api *api, const char *question)
{
	char path[PATH_SIZE];
	snprintf(path, sizeof path, "%s/questions", api->directory);
	FILE *file = fopen(path, "ae");
	must(file != NULL, path);
	fprintf(file, "%s\n", question);
	fclose(file);
}

static bool is_allowed(const struct fake_api *api, struct evhttp_request *request)
{
	char expected[PATH_SIZE];
	char *token = read_file(api, "token", NULL);
	const char *shown = evhttp_find_header(evhttp_request_get_input_headers(request), "Authorization");
	if (token == NULL)
		return true;
	token[strcspn(token, "\n")] = '\0';
	snprintf(expected, sizeof expected, "Bearer %.4000s", token);
	free(token);
	return shown != NULL && strcmp(shown, expected) == 0;
}

static void refuse(struct evhttp_request *request, int status)
{
	struct evbuffer *body = evbuffer_new();
	evbuffer_add_printf(body, "{\"kind\":\"Status\",\"message\":\"that is the fake's answer\",\"code\":%d}", status);
	evhttp_send_reply(request, status, "No", body);
	evbuffer_free(body);
}

static void asked(struct evhttp_request *request, void *context)
{
	struct fake_api *api = context;
	const char *path = evhttp_request_get_uri(request);
	size_t size;
	char *status;
	char *body;
	note(api, path);
	if ((body = read_file(api, "silent", NULL)) != NULL) {
		free(body);
		evhttp_request_own(request);
		return;
	}
	if ((status = read_file(api, "status", NULL)) != NULL) {
		refuse(request, atoi(status));
		free(status);
	} else if (!is_allowed(api, request)) {
		refuse(request, 401);
	} else if ((body = read_file(api, strstr(path, "endpointslices") != NULL ? "slices" : "endpoints", &size)) == NULL) {
		refuse(request, 404);
	} else {
		struct evbuffer *bytes = evbuffer_new();
		evbuffer_add(bytes, body, size);
		evhttp_send_reply(request, 200, "OK", bytes);
		evbuffer_free(bytes);
		free(body);
	}
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static struct bufferevent *new_connection(struct event_base *base, void *context)
{
	struct fake_api *api = context;
	return bufferevent_openssl_socket_new(base, -1, SSL_new(api->tls), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

struct fake_api *fake_api_create(const char *directory, const char *host, const char *authorities_file)
{
	struct fake_api *api = calloc(1, sizeof *api);
	struct sockaddr_in address;
	socklen_t size = sizeof address;
	must(api != NULL && (api->directory = strdup(directory)) != NULL, "memory");
	signal(SIGPIPE, SIG_IGN);
	api->tls = SSL_CTX_new(TLS_server_method());
	api->base = event_base_new();
	must(api->tls != NULL && api->base != NULL, "loop");
	make_certificates(api, host, authorities_file);
	api->http = evhttp_new(api->base);
	evhttp_set_bevcb(api->http, new_connection, api);
	evhttp_set_gencb(api->http, asked, api);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(api->http, "127.0.0.1", 0);
	must(bound != NULL, "listen");
	must(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &size) == 0, "port");
	api->port = ntohs(address.sin_port);
	return api;
}

uint16_t fake_api_port(const struct fake_api *api)
{
	return api->port;
}

void fake_api_serve(struct fake_api *api)
{
	event_base_dispatch(api->base);
}

void fake_api_destroy(struct fake_api *api)
{
	evhttp_free(api->http);
	event_base_free(api->base);
	SSL_CTX_free(api->tls);
	free(api->directory);
	free(api);
}
