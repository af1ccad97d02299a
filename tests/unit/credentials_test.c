/* SPDX-License-Identifier: Apache-2.0
 *
 * Where credentials come from, in which order, and what the errors say.
 */
#define _GNU_SOURCE
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "akamai/credentials.h"

#define PLAIN                                                                                                \
	"host = akab-h.luna.akamaiapis.net\nclient_token = akab-ct\nclient_secret = c2VjcmV0==\n"            \
	"access_token = akab-at\n"

static struct credentials found;
static char error[CREDENTIALS_ERROR_BYTES_MAX];

/* A replaceable environment: name, value, name, value ... NULL. */
static const char *const *variables;

static const char *lookup(const char *name)
{
	for (const char *const *at = variables; at && *at; at += 2) {
		if (strcmp(*at, name) == 0)
			return at[1];
	}
	return NULL;
}

static int find(const char *path, const char *section)
{
	struct credentials_query query = { .edgerc_path = path, .edgerc_section = section, .lookup = lookup };
	return credentials_find(&query, &found, error);
}

static int parse(const char *text)
{
	return edgerc_parse(span_of_text(text), "/h/.edgerc", "default", &found, error);
}

static void expect(const char *host, const char *client_token, const char *client_secret,
		   const char *access_token, const char *source)
{
	EQ_TEXT(error, "");
	EQ_TEXT(found.host, host);
	EQ_TEXT(found.edgegrid.client_token, client_token);
	EQ_TEXT(found.edgegrid.client_secret, client_secret);
	EQ_TEXT(found.edgegrid.access_token, access_token);
	EQ_TEXT(found.source, source);
}

static void expect_nothing(void)
{
	static const struct credentials none;
	EQ_BYTES(&found, sizeof found, &none, sizeof none);
}

/* A folder of its own for each test; removed by the caller through folder_remove(). */
static char folder[64], file_path[128];

static void file_write(const char *text)
{
	strcpy(folder, "/tmp/akamai-credentials-XXXXXX");
	NE((intptr_t)mkdtemp(folder), 0);
	snprintf(file_path, sizeof file_path, "%s/.edgerc", folder);
	if (!text)
		return;
	FILE *file = fopen(file_path, "w");
	fputs(text, file);
	fclose(file);
}

static void folder_remove(void)
{
	unlink(file_path);
	rmdir(file_path);
	EQ(rmdir(folder), 0);
}

static void reads_a_plain_file(void)
{
	EQ(parse("[default]\n" PLAIN), 0);
	expect("akab-h.luna.akamaiapis.net", "akab-ct", "c2VjcmV0==", "akab-at", "/h/.edgerc [default]");
}

static void reads_what_people_write(void)
{
	EQ(parse("\xef\xbb\xbf; made by hand\r\n"
		 "# another\r\n"
		 "[other]\r\nthis line is nobody's business\r\nclient_secret = wrong\r\n"
		 "\t[ default ]  ; ours\r\n"
		 "HOST=\"https://akab-h.luna.akamaiapis.net//\"\r\n"
		 "  client-token: akab-ct # not part of it\r\n"
		 "Client_Secret='c2Vj=cmV0=' ; not part of it\r\n"
		 "max_body = 131072\r\naccount_key = \xc3\xa4\r\n"
		 "access_token\t=\takab-at;#x"),
	   -1);
	HAS_TEXT(error, "line 12"); /* ';' cannot be part of a token, and there is no blank before it */
	EQ(parse("\xef\xbb\xbf; made by hand\r\n"
		 "[other]\r\nthis line is nobody's business\r\nclient_secret = wrong\r\n"
		 "\t[ default ]  ; ours\r\n"
		 "HOST=\"https://akab-h.luna.akamaiapis.net//\"\r\n"
		 "  client-token: akab-ct # not part of it\r\n"
		 "Client_Secret='c2Vj=cmV0=' ; not part of it\r\n"
		 "max_body = 131072\r\naccount_key = \xc3\xa4\r\n"
		 "access_token\t=\takab-at"),
	   0);
	expect("akab-h.luna.akamaiapis.net", "akab-ct", "c2Vj=cmV0=", "akab-at", "/h/.edgerc [default]");
}

static void sections_may_come_twice_and_values_must_agree(void)
{
	EQ(parse("[default]\nhost=h\nclient_token=c\n[x]\nhost=y\n[default]\nclient_secret=s\n"
		 "access_token=a\nhost=h\n"),
	   0);
	expect("h", "c", "s", "a", "/h/.edgerc [default]");
	EQ(parse("[default]\n" PLAIN "host = other\n"), -1);
	HAS_TEXT(error, "two different values of host, on lines 2 and 6");
	expect_nothing();
}

static void names_the_missing_keys(void)
{
	EQ(parse("[default]\nhost = h\nclient_token =\naccess_token = a\n"), -1);
	EQ_TEXT(error, "/h/.edgerc lacks client_token and client_secret in section [default].");
	expect_nothing();
	EQ(parse("[default]\nhost = # later\n"), -1);
	EQ_TEXT(error, "/h/.edgerc lacks host, client_token, client_secret and access_token in section "
		       "[default].");
}

static void names_the_sections_that_exist(void)
{
	EQ(parse("[siem]\n" PLAIN "[papi prod]\n[b\x01]\n"), -1);
	EQ_TEXT(error, "/h/.edgerc has no section [default]; it has [siem], [papi prod], [b?].");
	EQ(parse(""), -1);
	EQ_TEXT(error, "/h/.edgerc has no section [default]; it is empty.");
	EQ(parse("# comment\n\n" PLAIN), -1);
	EQ_TEXT(error, "/h/.edgerc has no section [default]: put the line [default] above line 3.");
	char many[8192] = "";
	for (int i = 0; i < 300; i++)
		sprintf(many + strlen(many), "[section-%d]\n", i);
	EQ(parse(many), -1);
	HAS_TEXT(error, "[section-0], [section-1],");
	HAS_TEXT(error, " and others.");
}

static void names_the_line_of_an_error(void)
{
	EQ(parse("[default\n"), -1);
	EQ_TEXT(error, "/h/.edgerc, line 1: a section must be written as [name].");
	EQ(parse("\n[default] host = x\n"), -1);
	HAS_TEXT(error, "line 2: a section");
	EQ(parse("[default]\nhost h\n"), -1);
	HAS_TEXT(error, "line 2: this is neither");
	EQ(parse("[default]\nhost = \"h\n"), -1);
	HAS_TEXT(error, "line 2: the quote around the value is not closed.");
	EQ(parse("[default]\n" PLAIN "\n[x]\nhost\n"), 0);
}

/* No message ever repeats a value: it may be a secret in the wrong place. */
static void refuses_impossible_values_without_repeating_them(void)
{
	static const char *const values[] = { "SE CRET",
					      "SE\x01"
					      "CRET",
					      "SE\xe2\x80\x9c"
					      "CRET",
					      "SE;CRET", "SE\"CRET" };
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		char text[256];
		snprintf(text, sizeof text, "[default]\nhost=h\nclient_secret = %s\n", values[i]);
		EQ(parse(text), -1);
		HAS_TEXT(error, "/h/.edgerc, line 3: the value of client_secret holds a blank");
		EQ((intptr_t)strstr(error, "CRET"), 0);
		expect_nothing();
	}
	EQ(parse("[default]\nhost = https://akab-h/siem/v1\n"), -1);
	HAS_TEXT(error, "is not a host name");
	char text[1024] = "[default]\nclient_token = ";
	memset(text + strlen(text), 'x', EDGEGRID_TOKEN_BYTES_MAX);
	EQ(parse(text), -1);
	HAS_TEXT(error, "the value of client_token is longer than 511 characters");
}

static void yaegi_variables_come_first(void)
{
	const char *const set[] = { "YAEGI_HTTP_CLIENT_TOKEN",
				    "ct",
				    "YAEGI_HTTP_CLIENT_SECRET",
				    " \"s=\" ",
				    "YAEGI_HTTP_ACCESS_TOKEN",
				    "at",
				    "YAEGI_HTTP_URL",
				    "https://u",
				    "AKAMAI_HOST",
				    "https://h/",
				    "AKAMAI_CLIENT_TOKEN",
				    "x",
				    "AKAMAI_CLIENT_SECRET",
				    "x",
				    "AKAMAI_ACCESS_TOKEN",
				    "x",
				    NULL };
	variables = set;
	EQ(find("/nonexistent", "section"), 0);
	expect("", "ct", "s=", "at", "YAEGI_HTTP_* variables");
	/* Without the URL the host may come from AKAMAI_HOST. */
	const char *const no_url[] = { "YAEGI_HTTP_CLIENT_TOKEN",
				       "ct",
				       "YAEGI_HTTP_CLIENT_SECRET",
				       "s",
				       "YAEGI_HTTP_ACCESS_TOKEN",
				       "at",
				       "AKAMAI_HOST",
				       "https://h/",
				       NULL };
	variables = no_url;
	EQ(find(NULL, NULL), 0);
	expect("h", "ct", "s", "at", "YAEGI_HTTP_* variables");
}

static void yaegi_variables_must_be_complete(void)
{
	const char *const one[] = { "YAEGI_HTTP_CLIENT_TOKEN", "ct", "YAEGI_HTTP_ACCESS_TOKEN", "", NULL };
	variables = one;
	EQ(find(NULL, NULL), -1);
	HAS_TEXT(error, "YAEGI_HTTP_CLIENT_SECRET and YAEGI_HTTP_ACCESS_TOKEN are not set, although "
			"YAEGI_HTTP_CLIENT_TOKEN is.");
	HAS_TEXT(error, "Set all of");
	expect_nothing();
	const char *const two[] = { "YAEGI_HTTP_CLIENT_TOKEN", "ct", "YAEGI_HTTP_CLIENT_SECRET", "SECRET",
				    NULL };
	variables = two;
	EQ(find(NULL, NULL), -1);
	HAS_TEXT(error, "YAEGI_HTTP_ACCESS_TOKEN is not set, although YAEGI_HTTP_CLIENT_TOKEN and "
			"YAEGI_HTTP_CLIENT_SECRET are.");
	EQ((intptr_t)strstr(error, "=SECRET"), 0);
	expect_nothing();
}

static void akamai_variables_come_before_the_file(void)
{
	const char *const set[] = { "AKAMAI_HOST",
				    "h",
				    "AKAMAI_CLIENT_TOKEN",
				    "ct",
				    "AKAMAI_CLIENT_SECRET",
				    "s",
				    "AKAMAI_ACCESS_TOKEN",
				    "at",
				    NULL };
	variables = set;
	EQ(find(NULL, NULL), 0);
	expect("h", "ct", "s", "at", "AKAMAI_* variables");
	const char *const section[] = { "AKAMAI_EDGERC_SECTION",
					"my-siem",
					"AKAMAI_MY_SIEM_HOST",
					"h2",
					"AKAMAI_MY_SIEM_CLIENT_TOKEN",
					"ct2",
					"AKAMAI_MY_SIEM_CLIENT_SECRET",
					"s2",
					"AKAMAI_MY_SIEM_ACCESS_TOKEN",
					"at2",
					"AKAMAI_HOST",
					"h",
					NULL };
	variables = section;
	EQ(find(NULL, NULL), 0);
	expect("h2", "ct2", "s2", "at2", "AKAMAI_MY_SIEM_* variables");
}

static void a_file_asked_for_is_taken(void)
{
	file_write("[default]\n" PLAIN "[siem]\nhost=h\nclient_token=c\nclient_secret=s\naccess_token=a\n");
	const char *const set[] = { "AKAMAI_HOST",
				    "h",
				    "AKAMAI_CLIENT_TOKEN",
				    "ct",
				    "AKAMAI_CLIENT_SECRET",
				    "s",
				    "AKAMAI_ACCESS_TOKEN",
				    "at",
				    "HOME",
				    folder,
				    NULL };
	char source[160];
	variables = set;
	EQ(find(file_path, NULL), 0);
	snprintf(source, sizeof source, "%s [default]", file_path);
	EQ_TEXT(found.source, source);
	EQ(find(NULL, "siem"), 0); /* in $HOME */
	snprintf(source, sizeof source, "%s [siem]", file_path);
	expect("h", "c", "s", "a", source);
	EQ(find("~/.edgerc", "siem"), 0);
	EQ_TEXT(found.source, source);
	const char *const named[] = {
		"AKAMAI_EDGERC", file_path, "AKAMAI_EDGERC_SECTION", "siem", "AKAMAI_SIEM_HOST",
		"not all four",	 NULL
	};
	variables = named;
	EQ(find(NULL, NULL), -1); /* an impossible host is told, not passed over */
	HAS_TEXT(error, "AKAMAI_SIEM_HOST: the value of host is not a host name");
	const char *const partly[] = {
		"AKAMAI_EDGERC", file_path, "AKAMAI_EDGERC_SECTION", "siem", "AKAMAI_SIEM_HOST", "x", NULL
	};
	variables = partly;
	EQ(find(NULL, NULL), 0);
	expect("h", "c", "s", "a", source);
	folder_remove();
}

static void tells_every_place_and_the_way_out(void)
{
	file_write(NULL);
	const char *const set[] = { "HOME", folder, "AKAMAI_HOST", "h", "AKAMAI_CLIENT_TOKEN", "c", NULL };
	variables = set;
	EQ(find(NULL, NULL), -1);
	char reason[256];
	snprintf(reason, sizeof reason, "%s cannot be read: %s.", file_path, strerror(ENOENT));
	HAS_TEXT(error, reason);
	HAS_TEXT(error, "YAEGI_HTTP_CLIENT_TOKEN, _CLIENT_SECRET, _ACCESS_TOKEN (none set)");
	HAS_TEXT(error, "AKAMAI_CLIENT_SECRET and AKAMAI_ACCESS_TOKEN missing");
	HAS_TEXT(error, "Set the variables, or give an .edgerc file a section [default] with host,");
	EQ(find(NULL, "siem"), -1);
	HAS_TEXT(error, "not looked at because --edgerc or --section is given");
	HAS_TEXT(error, "a section [siem] with host,");
	variables = NULL;
	EQ(find(NULL, NULL), -1);
	HAS_TEXT(error, "because HOME is not set");
	expect_nothing();
	folder_remove();
}

static void names_the_reason_of_an_unreadable_file(void)
{
	file_write(NULL);
	EQ(mkdir(file_path, 0700), 0);
	variables = NULL;
	EQ(find(file_path, NULL), -1);
	HAS_TEXT(error, strerror(EISDIR));
	folder_remove();
	file_write("x");
	EQ(truncate(file_path, EDGERC_FILE_BYTES_MAX + 1), 0);
	EQ(find(file_path, NULL), -1);
	HAS_TEXT(error, "is larger than 1048576 bytes");
	EQ(truncate(file_path, EDGERC_FILE_BYTES_MAX), 0);
	EQ(find(file_path, NULL), -1);
	HAS_TEXT(error, "has no section [default]");
	folder_remove();
	char path[8192];
	memset(path, 'x', sizeof path);
	path[sizeof path - 1] = 0;
	EQ(find(path, NULL), -1);
	HAS_TEXT(error, "longer than 4095 bytes");
}

static void names_a_lack_of_permission(void)
{
	enum { NOBODY = 65534 };
	int root = geteuid() == 0; /* who may read everything, so step down for the call */
	file_write("[default]\n" PLAIN);
	EQ(chmod(file_path, 0), 0);
	variables = NULL;
	if (root)
		EQ(seteuid(NOBODY), 0);
	int result = find(file_path, NULL);
	if (root)
		EQ(seteuid(0), 0);
	EQ(result, -1);
	HAS_TEXT(error, strerror(EACCES));
	folder_remove();
}

/* Any cut of a good file is told as a failure or gives a shorter last value; never anything else. */
static void every_prefix(void)
{
	static const char text[] = "[default]\nhost=h\nclient_token=c\nclient_secret=s\naccess_token=abc";
	for (size_t bytes = 0; bytes < sizeof text; bytes++) {
		int result = edgerc_parse(span_of(text, bytes), "p", "default", &found, error);
		EQ(result, bytes >= sizeof text - 3 ? 0 : -1);
		if (result < 0)
			expect_nothing();
		else
			EQ(strlen(found.edgegrid.access_token), bytes - (sizeof text - 4));
	}
}

static void long_sentences_end(void)
{
	char path[600], section[600];
	memset(path, 'p', sizeof path);
	memset(section, 's', sizeof section);
	path[sizeof path - 1] = section[sizeof section - 1] = 0;
	variables = NULL;
	EQ(find(path, section), -1);
	LT(strlen(error), sizeof error);
	HAS_TEXT(error, "client_secret and access_token.");
}

TEST_MAIN(T(reads_a_plain_file), T(reads_what_people_write), T(sections_may_come_twice_and_values_must_agree),
	  T(names_the_missing_keys), T(names_the_sections_that_exist), T(names_the_line_of_an_error),
	  T(refuses_impossible_values_without_repeating_them), T(yaegi_variables_come_first),
	  T(yaegi_variables_must_be_complete), T(akamai_variables_come_before_the_file),
	  T(a_file_asked_for_is_taken), T(tells_every_place_and_the_way_out),
	  T(names_the_reason_of_an_unreadable_file), T(names_a_lack_of_permission), T(every_prefix),
	  T(long_sentences_end))
