/* SPDX-License-Identifier: Apache-2.0
 *
 * What functions of a program are called, from its text (Lua 5.4 manual, 3.1 "Lexical Conventions", 3.4.11
 * "Function Definitions"): `function a.b:c(`, `local function f(`, `f = function(`, `{ f = function(`. Lua
 * itself does not keep names. The text has been compiled, so it is whole; were it not, this only ends sooner.
 */
#include "program/interpreter.h"

#include <string.h>

enum token {
	TOKEN_END,
	TOKEN_NAME,
	TOKEN_FUNCTION,
	TOKEN_ASSIGN,
	TOKEN_DOT, /* or the colon of a method */
	TOKEN_COMMA,
	TOKEN_OTHER,
};

struct lexeme {
	enum token token;
	const char *text;
	size_t bytes;
	int line;
};

static int is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char peek(const struct interpreter_names *names, size_t ahead)
{
	return names->at + ahead < names->bytes ? names->text[names->at + ahead] : 0;
}

static void step(struct interpreter_names *names)
{
	if (names->at < names->bytes && names->text[names->at++] == '\n')
		names->line++;
}

/* At "[", "=" signs, "[": their number, else -1. */
static int long_bracket(const struct interpreter_names *names)
{
	size_t level = 0;
	while (peek(names, 1 + level) == '=')
		level++;
	return peek(names, 0) == '[' && peek(names, 1 + level) == '[' ? (int)level : -1;
}

static void skip_long(struct interpreter_names *names, int level)
{
	for (; names->at < names->bytes; step(names)) {
		size_t signs = 0;
		while (peek(names, 0) == ']' && peek(names, 1 + signs) == '=')
			signs++;
		if (peek(names, 0) == ']' && signs == (size_t)level && peek(names, 1 + signs) == ']')
			break;
	}
	for (int i = 0; i < level + 2; i++)
		step(names);
}

static void skip_string(struct interpreter_names *names)
{
	char quote = peek(names, 0);
	step(names);
	while (names->at < names->bytes && peek(names, 0) != quote) {
		if (peek(names, 0) == '\\')
			step(names);
		step(names);
	}
	step(names);
}

/* Blanks and comments. */
static void skip_blank(struct interpreter_names *names)
{
	while (names->at < names->bytes) {
		if (peek(names, 0) == '-' && peek(names, 1) == '-') {
			names->at += 2;
			int level = long_bracket(names);
			if (level >= 0)
				skip_long(names, level);
			while (level < 0 && names->at < names->bytes && peek(names, 0) != '\n')
				step(names);
		} else if (strchr(" \t\r\n\f\v", peek(names, 0)) && peek(names, 0)) {
			step(names);
		} else {
			return;
		}
	}
}

static int is_keyword(const struct lexeme *lexeme)
{
	static const char *const words[] = { "and", "break",  "do",	"else", "elseif", "end",   "false",
					     "for", "goto",   "if",	"in",	"local",  "nil",   "not",
					     "or",  "repeat", "return", "then", "true",	  "until", "while" };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i]) == lexeme->bytes && memcmp(words[i], lexeme->text, lexeme->bytes) == 0)
			return 1;
	return 0;
}

static void read_word(struct interpreter_names *names, struct lexeme *lexeme)
{
	while (is_letter(peek(names, 0)) || is_digit(peek(names, 0)))
		names->at++;
	lexeme->bytes = (size_t)(names->text + names->at - lexeme->text);
	if (lexeme->bytes == 8 && memcmp(lexeme->text, "function", 8) == 0)
		lexeme->token = TOKEN_FUNCTION;
	else if (!is_keyword(lexeme))
		lexeme->token = TOKEN_NAME;
}

/* Which bracket is open decides what a comma means. */
static void read_sign(struct interpreter_names *names, struct lexeme *lexeme)
{
	char sign = peek(names, 0), next = peek(names, 1);
	int is_double = next == '=' && strchr("=<>~", sign);
	names->at += is_double || (sign == ':' && next == ':') ? 2 : 1;
	if (is_double || (sign == ':' && next == ':'))
		return;
	if (strchr("([{", sign)) {
		if (names->depth < sizeof names->brackets)
			names->brackets[names->depth] = sign;
		names->depth++;
	} else if (strchr(")]}", sign)) {
		names->depth -= names->depth > 0;
	}
	lexeme->token = sign == '='		     ? TOKEN_ASSIGN
			: sign == '.' || sign == ':' ? TOKEN_DOT
			: sign == ','		     ? TOKEN_COMMA
						     : TOKEN_OTHER;
}

static struct lexeme read_lexeme(struct interpreter_names *names)
{
	skip_blank(names);
	struct lexeme lexeme = { .token = TOKEN_OTHER, .text = names->text + names->at, .line = names->line };
	char first = peek(names, 0);
	if (names->at >= names->bytes) {
		lexeme.token = TOKEN_END;
	} else if (is_letter(first)) {
		read_word(names, &lexeme);
	} else if (is_digit(first) || (first == '.' && is_digit(peek(names, 1)))) {
		while (is_letter(peek(names, 0)) || is_digit(peek(names, 0)) || peek(names, 0) == '.')
			names->at++;
	} else if (first == '"' || first == '\'') {
		skip_string(names);
	} else if (first == '[' && long_bracket(names) >= 0) {
		skip_long(names, long_bracket(names));
	} else if (first == '.' && peek(names, 1) == '.') { /* ".." and "..." */
		while (peek(names, 0) == '.')
			names->at++;
	} else {
		read_sign(names, &lexeme);
	}
	return lexeme;
}

/* "" when it would be too long to be read. */
static void path_extend(char *path, const char *separator, const char *text, size_t bytes)
{
	size_t used = strlen(path);
	if (used + strlen(separator) + bytes >= INTERPRETER_NAME_BYTES_MAX) {
		path[0] = 0;
		return;
	}
	memcpy(path + used, separator, strlen(separator));
	memcpy(path + used + strlen(separator), text, bytes);
	path[used + strlen(separator) + bytes] = 0;
}

static int in_braces(const struct interpreter_names *names)
{
	return names->depth > 0 && names->depth <= sizeof names->brackets &&
	       names->brackets[names->depth - 1] == '{';
}

/* Behind the word `function`: its own name, if there is one, and the bracket. */
static void read_head(struct interpreter_names *names, struct interpreter_name *name)
{
	struct lexeme lexeme = read_lexeme(names);
	const char *separator = "";
	while (lexeme.token == TOKEN_NAME || lexeme.token == TOKEN_DOT) {
		if (lexeme.token == TOKEN_NAME)
			path_extend(name->name, separator, lexeme.text, lexeme.bytes);
		else
			separator = *lexeme.text == ':' ? ":" : ".";
		lexeme = read_lexeme(names);
	}
	name->last_line = lexeme.line;
	names->previous = TOKEN_OTHER;
	names->path[0] = 0;
}

void interpreter_names_begin(struct interpreter_names *names, const char *text, size_t bytes)
{
	*names = (struct interpreter_names){
		.text = text, .bytes = bytes, .line = 1, .previous = TOKEN_OTHER
	};
}

int interpreter_names_next(struct interpreter_names *names, struct interpreter_name *ret_name)
{
	const char *separator = "";
	for (;;) {
		struct lexeme lexeme = read_lexeme(names);
		if (lexeme.token == TOKEN_END)
			return 0;
		if (lexeme.token == TOKEN_FUNCTION) {
			*ret_name = (struct interpreter_name){ .first_line = lexeme.line };
			/* Of `a, b = function` it is not the second that is assigned. */
			if (names->previous == TOKEN_ASSIGN && !names->path_is_listed)
				memcpy(ret_name->name, names->path, sizeof names->path);
			read_head(names, ret_name);
			return 1;
		}
		if (lexeme.token == TOKEN_DOT) {
			separator = *lexeme.text == ':' ? ":" : ".";
		} else if (lexeme.token == TOKEN_NAME && names->previous == TOKEN_DOT) {
			if (names->path[0])
				path_extend(names->path, separator, lexeme.text, lexeme.bytes);
		} else if (lexeme.token == TOKEN_NAME) {
			names->path[0] = 0;
			names->path_is_listed = names->previous == TOKEN_COMMA && !in_braces(names);
			path_extend(names->path, "", lexeme.text, lexeme.bytes);
		} else if (lexeme.token != TOKEN_ASSIGN || names->previous != TOKEN_NAME) {
			names->path[0] = 0;
		}
		names->previous = (int)lexeme.token;
	}
}
