/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_SHOW_H
#define CLOCHE_CLI_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct cloche_err;
struct json_t;

/*
 * All that the program itself says goes to stdout and stderr, and both are streams of ours from
 * main's first line on: whatever a message takes in of names, paths, comments or files, no control
 * character of it reaches a terminal, since none does but by show_style. So a message need not know
 * what is foreign in it. The function's own output does not come this way.
 */
void show_begin(void);

enum show_mode {
	SHOW_TEXT, /* line ends and tabs pass; what is not harmless is \xNN, byte by byte */
	SHOW_JSON, /* the same as \u00NN: it can only stand in a string there */
	SHOW_CSV,  /* as text, but that a carriage return may stand before a line end */
	SHOW_RAW,  /* as it is */
};

/* From now on, for stdout. */
void show_as(enum show_mode mode);

/* Dumps to stdout as SHOW_JSON; as json_dumpf otherwise. */
int show_json(const struct json_t *value, size_t flags);

enum show_style {
	STYLE_OFF,
	STYLE_BOLD,
	STYLE_DIM,
	STYLE_RED,
	STYLE_GREEN,
	STYLE_YELLOW,
	STYLE_CYAN,
	STYLE_REWIND, /* to the line's begin, which is emptied */
	STYLE_SCREEN, /* a screen of its own, without a cursor, until: */
	STYLE_SCREEN_END,
	STYLE_HOME,  /* to its first place */
	STYLE_EOL,   /* the rest of the line is emptied */
	STYLE_BELOW, /* ..., and all below it */
	N_STYLES,
};

/* One line on stderr, whatever the arguments hold: a line end in them is \n, too. */
void show_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The library's errors speak of fields; a caller of ours gave them as options: "memory 3M: …"
 * becomes "--memory 3M: …". */
void show_as_options(struct cloche_err *err);

/* What stands for it in a message; nobody else can know it beforehand. */
const char *show_style(enum show_style style);

/* Whether what is written there comes to a terminal. */
bool show_on_terminal(FILE *f);

#endif
