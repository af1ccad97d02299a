/* SPDX-License-Identifier: Apache-2.0
 *
 * Which servers a run talks to.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/settings_private.h"

/* As programs may write them in URLs, see src/program/library_url.c. */
static int is_host_name(const char *host)
{
	static const char letters[] = "-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	return host[strspn(host, letters)] == 0;
}

/* Perhaps with the interface of a link-local address (RFC 4007 section 11). */
static int is_ipv6(const char *host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t bytes = strcspn(host, "%");
	if (bytes >= sizeof text)
		return 0;
	memcpy(text, host, bytes);
	text[bytes] = 0;
	return inet_pton(AF_INET6, text, &address) == 1;
}

/* "host", "host:port", "[v6]:port" */
static int authority_parse(const char *authority, size_t bytes, const char *origin,
			   struct settings_server *server, char *error)
{
	const char *end = authority + bytes;
	const char *host = authority;
	const char *host_end = memchr(authority, ':', bytes);
	if (*authority == '[') {
		host++;
		host_end = memchr(authority, ']', bytes);
		if (!host_end)
			return settings_error(error, "%s: the IPv6 address in \"%s\" lacks its ']'", origin,
					      authority);
	}
	if (!host_end)
		host_end = end;
	const char *port = host_end + (*authority == '[');
	size_t host_bytes = (size_t)(host_end - host);
	if (host_bytes == 0 || host_bytes >= sizeof server->host)
		return settings_error(error, "%s names no host: \"%s\"", origin, authority);
	memcpy(server->host, host, host_bytes);
	server->host[host_bytes] = 0;
	if (!(*authority == '[' ? is_ipv6(server->host) : is_host_name(server->host)))
		return settings_error(
			error,
			"%s: \"%s\" is no name and no address of a host (names are written out: no "
			"'*', and xn-- for letters beyond a to z)",
			origin, server->host);
	snprintf(server->port, sizeof server->port, "%s", server->secure ? "443" : "80");
	if (port < end) {
		char *port_end;
		unsigned long number = strtoul(port + 1, &port_end, 10);
		if (*port != ':' || port_end != end || !isdigit((unsigned char)port[1]) || number == 0 ||
		    number > 65535)
			return settings_error(error,
					      "%s: the port in \"%s\" must be a number from 1 to 65535",
					      origin, authority);
		snprintf(server->port, sizeof server->port, "%lu", number);
	}
	snprintf(server->authority, sizeof server->authority, "%.*s", (int)bytes, authority);
	return 0;
}

/* "https://host[:port]" up to the path, which is returned; NULL with a sentence. */
static const char *scheme_and_authority(const char *url, const char *origin, struct settings_server *server,
					char *error)
{
	const char *rest;
	if (strncasecmp(url, "https://", 8) == 0) {
		rest = url + 8;
	} else if (strncasecmp(url, "http://", 7) == 0) {
		rest = url + 7;
	} else {
		settings_error(error, "%s must begin with https:// (or http://), not \"%s\"", origin, url);
		return NULL;
	}
	server->secure = tolower((unsigned char)url[4]) == 's';
	size_t bytes = strcspn(rest, "/?#");
	if (memchr(rest, '@', bytes)) {
		settings_error(error, "%s must not hold a user name; credentials are signed, not sent",
			       origin);
		return NULL;
	}
	return authority_parse(rest, bytes, origin, server, error) < 0 ? NULL : rest + bytes;
}

/* A program of one's own may give its URL a query; ours appends a path and a query of its own. */
static int url_parse(const char *url, const char *origin, struct settings *settings, char *error)
{
	const char *forbidden = settings->prog && settings->interpreted ? "#" : "?#";
	for (const char *at = url; *at; at++)
		if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f || strchr(forbidden, *at))
			return settings_error(error,
					      "%s: blanks%s and '#' have no place in the base URL \"%s\"",
					      origin, forbidden[0] == '?' ? ", '?'" : "", url);
	const char *path = scheme_and_authority(url, origin, &settings->server, error);
	if (!path)
		return -1;
	size_t path_bytes = strcspn(path, "?");
	while (path_bytes && path[path_bytes - 1] == '/')
		path_bytes--;
	if (path_bytes >= sizeof settings->base_path)
		return settings_error(error, "%s: the path in \"%.80s\" is too long", origin, url);
	memcpy(settings->base_path, path, path_bytes);
	settings->base_path[path_bytes] = 0;
	return 0;
}

int settings_server(struct settings *settings, char *error)
{
	if (settings->url && *settings->url)
		return url_parse(settings->url, "the URL", settings, error);
	if (settings->credentials.host[0]) {
		char url[EDGEGRID_HOST_BYTES_MAX + 32];
		snprintf(url, sizeof url, "https://%s/siem/v1", settings->credentials.host);
		return url_parse(url, settings->credentials.source, settings, error);
	}
	if (settings->prog && settings->interpreted)
		return settings_error(error,
				      "no server is named: set YAEGI_HTTP_URL (or -url) to the URL that the "
				      "program begins with");
	return settings_error(
		error,
		"no server is named: set YAEGI_HTTP_URL (or -url) to https://HOST/siem/v1, or `host` in "
		"%s",
		settings->credentials.source);
}

int settings_allowed(struct settings *settings, char *error)
{
	char *parts[SETTINGS_ALLOWED_MAX];
	size_t count = 0;
	int code = 0;
	if (!settings->allow_host || !*settings->allow_host)
		return 0;
	if (settings_list(settings->allow_host, parts, SETTINGS_ALLOWED_MAX, &count) < 0)
		code = settings_error(error, "-allow-host names more than %d hosts", SETTINGS_ALLOWED_MAX);
	for (size_t i = 0; i < count && !code; i++) {
		struct settings_server *server = &settings->allowed[i];
		char url[512];
		snprintf(url, sizeof url, "%s%s", strstr(parts[i], "://") ? "" : "https://", parts[i]);
		const char *path = scheme_and_authority(url, "-allow-host", server, error);
		if (!path)
			code = -1;
		else if (*path && strcmp(path, "/") != 0)
			code = settings_error(
				error, "-allow-host takes hosts (HOST, HOST:PORT), not the path in \"%s\"",
				parts[i]);
		settings->allowed_count = i + 1;
	}
	for (size_t i = 0; i < count; i++)
		free(parts[i]);
	return code;
}
