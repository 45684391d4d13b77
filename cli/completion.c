/* SPDX-License-Identifier: MIT */
/*
 * `cloche completion`: what shells complete, printed from the tables of the verbs. What is the same
 * whatever is in them is in cli/completion/, a file for each shell, put into the program by make.
 */
#include "cli/cli.h"
#include "cli/ledger_args.h"
#include "cli/verb.h"
#include "completion_text.h"
#include "image/image_recipe.h"
#include "policy/policy_builtin.h"

#include <stdio.h>
#include <string.h>

#define PLACE_MAX 64

static const struct verb *const shells[] = {
	&(const struct verb){ .name = "bash", .text = "a script for bash" },
	&(const struct verb){ .name = "zsh", .text = "a script for zsh" },
	&(const struct verb){ .name = "fish", .text = "a script for fish" },
	&(const struct verb){
		.name = "table",
		.text = "the tables themselves, for scripts: 'verb', 'command' or 'option'; the "
			"verb; its command or long option; the short option; what its value is "
			"called; how it is completed; what it is for. With tabs between them" },
	NULL,
};

static const struct verb_option options[] = {
	{ .text = "Options" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_completion = {
	.name = "completion",
	.run = cmd_completion,
	.text = "a script by which a shell completes command lines",
	.usage = "Usage: cloche completion bash|zsh|fish|table\n\n"
		 "Prints what completes verbs, commands, options and their values in a shell.\n"
		 "'make install' puts it where the shells look for it.\n",
	.commands = shells,
	.options = options,
	.tail = "Examples:\n"
		"  eval \"$(cloche completion bash)\"\n"
		"  source <(cloche completion zsh)\n"
		"  cloche completion fish | source\n",
};

/* ---- a walk through the tables --------------------------------------------------------------- */

/* A verb, or a command of one: what its options are and what follows them. */
struct place {
	char name[PLACE_MAX];		   /* "policy list" */
	const struct verb *verb, *command; /* command NULL: the verb itself */
};

static void place_init(struct place *ret, const struct verb *verb, const struct verb *command)
{
	*ret = (struct place){ .verb = verb, .command = command };
	(void)snprintf(ret->name, sizeof(ret->name), "%s%s%s", verb->name, command ? " " : "",
		       command ? command->name : "");
}

static const struct verb_option *place_option_next(const struct place *p, size_t *at)
{
	const struct verb *v = p->command && p->command->options ? p->command : p->verb;
	const struct verb_option *o;

	while ((o = verb_option_next(v, at)))
		if (v == p->command || !p->command || verb_command_takes(p->command, o))
			return o;
	return NULL;
}

static void places_each(void (*each)(const struct place *p))
{
	struct place p;

	for (const struct verb *const *v = verbs; *v; v++) {
		place_init(&p, *v, NULL);
		each(&p);
		for (const struct verb *const *c = (*v)->commands; c && *c; c++) {
			place_init(&p, *v, *c);
			each(&p);
		}
	}
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void print_escaped(const char *text, size_t len, const char *special, const char *before)
{
	for (size_t i = 0; i < len; i++) {
		if (strchr(special, text[i]))
			fputs(before, stdout);
		putchar(text[i]);
	}
}

/* How far a text says what it is; what follows are details. One word says too little. */
static size_t brief(const char *text)
{
	static const char *const ends[] = { "; ", " (", ". " };
	size_t len = strlen(text), word = strcspn(text, " ");

	if (len && text[len - 1] == '.')
		len--;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const char *end = strstr(text, ends[i]);

		if (end && (size_t)(end - text) > word && (size_t)(end - text) < len)
			len = (size_t)(end - text);
	}
	return len;
}

/* The words for which a kind stands where the program knows them; else itself. */
static void print_token(const char *token, size_t len)
{
	if (len == 7 && memcmp(token, "@policy", 7) == 0) {
		const char *blank = "";

		for (const struct policy_builtin *b = policy_builtins; b->name; b++)
			if (b->kind == POLICY_PROFILE) {
				printf("%s%s", blank, b->name);
				blank = " ";
			}
	} else if (len == 7 && memcmp(token, "@recipe", 7) == 0) {
		for (const struct recipe *r = recipes; r->name; r++)
			printf("%s%s", r == recipes ? "" : " ", r->name);
	} else {
		printf("%.*s", (int)len, token);
	}
}

static void print_values(const char *values)
{
	while (values && *values) {
		size_t len = strcspn(values, " ");

		print_token(values, len);
		values += len;
		if (*values == ' ')
			putchar(*values++);
	}
}

/* ---- table ----------------------------------------------------------------------------------- */

static void table_place(const struct place *p)
{
	const struct verb *what = p->command ? p->command : p->verb;
	const struct verb_option *o;
	size_t at = 0;

	printf("%s\t%s\t%s\t\t\t%s\t%s\n", p->command ? "command" : "verb", p->verb->name,
	       p->command ? p->command->name : "", what->values ? what->values : "", what->text);
	while ((o = place_option_next(p, &at))) {
		printf("option\t%s\t%s%s\t", p->name, o->name ? "--" : "", o->name ? o->name : "");
		if (o->val < 128)
			printf("-%c", o->val);
		printf("\t%s\t%s\t%s\n", o->arg ? o->arg : "", o->values ? o->values : "", o->text);
	}
}

/* ---- bash ------------------------------------------------------------------------------------ */

static void bash_options(const struct place *p)
{
	const struct verb_option *o;
	size_t at = 0;

	printf("\t'%s') REPLY='", p->name);
	for (const char *blank = ""; (o = place_option_next(p, &at)); blank = " ") {
		if (o->name)
			printf("%s--%s", blank, o->name);
		else
			printf("%s-%c", blank, o->val);
	}
	puts("' ;;");
}

static void bash_values(const struct place *p)
{
	const struct verb_option *o;
	size_t at = 0;

	while ((o = place_option_next(p, &at))) {
		if (!o->arg)
			continue;
		putchar('\t');
		if (o->name)
			printf("'%s --%s'", p->name, o->name);
		if (o->val < 128)
			printf("%s'%s -%c'", o->name ? " | " : "", p->name, o->val);
		fputs(") REPLY='", stdout);
		print_values(o->values);
		puts("' ;;");
	}
}

static void print_commands(const struct verb *const *commands)
{
	for (const struct verb *const *c = commands; *c; c++)
		printf("%s%s", c == commands ? "" : " ", (*c)->name);
}

static void bash_argument(const struct place *p)
{
	const char *values = p->command ? p->command->values : p->verb->values;

	printf("\t'%s') REPLY='", p->name);
	if (!p->command && p->verb->commands)
		print_commands(p->verb->commands);
	else
		print_values(values);
	puts("' ;;");
}

static void bash_function(const char *name, const char *first, void (*each)(const struct place *))
{
	printf("%s()\n{\n\tcase $1 in\n%s", name, first);
	places_each(each);
	puts("\t*) return 1 ;;\n\tesac\n}\n");
}

static void bash(void)
{
	puts("# bash completion of cloche, from `cloche completion bash`\n");
	bash_function("_cloche_options", "\t'') REPLY='--help --version' ;;\n", bash_options);
	bash_function("_cloche_value", "", bash_values);
	puts("_cloche_argument()\n{\n\tcase $1 in");
	fputs("\t'') REPLY='", stdout);
	print_commands(verbs);
	puts("' ;;");
	places_each(bash_argument);
	puts("\t*) return 1 ;;\n\tesac\n}\n");
	fputs(completion_bash, stdout);
}

/* ---- zsh ------------------------------------------------------------------------------------- */

/* Inside single quotes, and of _arguments' and _describe's grammar. */
static void zsh_text(const char *text)
{
	for (size_t i = 0, n = brief(text); i < n; i++) {
		if (text[i] == '\'')
			fputs("'\\'", stdout);
		else if (strchr("[]:\\", text[i]))
			putchar('\\');
		putchar(text[i]);
	}
}

static void zsh_option(const struct verb_option *o)
{
	bool both = o->name && o->val < 128;

	fputs(" \\\n\t\t\t'*'", stdout);
	if (both)
		printf("{-%c%s,--%s%s}", o->val, o->arg ? "+" : "", o->name, o->arg ? "=" : "");
	else if (o->name)
		printf("--%s%s", o->name, o->arg ? "=" : "");
	else
		printf("-%c%s", o->val, o->arg ? "+" : "");
	fputs("'[", stdout);
	zsh_text(o->text);
	putchar(']');
	if (o->arg) {
		putchar(':');
		zsh_text(o->arg);
		if (o->values) {
			fputs(":{_cloche_complete ", stdout);
			print_values(o->values);
			putchar('}');
		} else {
			fputs(": ", stdout);
		}
	}
	putchar('\'');
}

static void zsh_describe(const char *variable, const struct verb *const *commands)
{
	printf("\t\tlocal -a %s=(", variable);
	for (const struct verb *const *c = commands; *c; c++) {
		printf("\n\t\t\t'%s:", (*c)->name);
		zsh_text((*c)->text);
		putchar('\'');
	}
	puts("\n\t\t)");
}

static void zsh_place(const struct place *p)
{
	const char *values = p->command ? p->command->values : p->verb->values;
	bool more = !p->command && p->verb->commands;
	const struct verb_option *o;
	size_t at = 0;

	printf("\t'%s')\n", p->name);
	if (more) {
		zsh_describe("commands", p->verb->commands);
		puts("\t\tstate=");
		fputs("\t\t_arguments -C '(- *)'{-h,--help}'[this text]' \\\n"
		      "\t\t\t'1: :{_describe command commands}' '*:: :->rest'\n"
		      "\t\t[[ $state == rest ]] && _cloche_at ",
		      stdout);
		printf("\"%s $words[1]\" ;;\n", p->verb->name);
		return;
	}
	fputs("\t\t_arguments -s -S", stdout);
	while ((o = place_option_next(p, &at)))
		zsh_option(o);
	if (values && strcmp(values, "@function @command") == 0) {
		fputs(" \\\n\t\t\t'1: :{_cloche_complete @function; _command_names -e}'"
		      " '*:: :_normal'",
		      stdout);
	} else if (values && strcmp(values, "@command") == 0) {
		fputs(" \\\n\t\t\t'*:: :_normal'", stdout);
	} else if (values) {
		fputs(" \\\n\t\t\t'*: :{_cloche_complete ", stdout);
		print_values(values);
		fputs("}'", stdout);
	}
	puts(" ;;");
}

static void zsh(void)
{
	puts("#compdef cloche\n# zsh completion of cloche, from `cloche completion zsh`\n\n"
	     "_cloche_verbs() {");
	zsh_describe("verbs", verbs);
	puts("\t\t_describe verb verbs\n}\n\n_cloche_at() {\n\tcase $1 in");
	places_each(zsh_place);
	puts("\tesac\n}\n");
	fputs(completion_zsh, stdout);
}

/* ---- fish ------------------------------------------------------------------------------------ */

static void fish_text(const char *text)
{
	putchar('\'');
	print_escaped(text, brief(text), "'\\", "\\");
	putchar('\'');
}

static bool has_token(const char *values, const char *token)
{
	return values && strstr(values, token);
}

/* -a and -F for what completes it. */
static void fish_values(const char *values)
{
	const char *blank = "";

	if (!values || strcmp(values, "@file") == 0)
		return;
	fputs(" -a '", stdout);
	for (size_t len; *values; values += len + (values[len] == ' ')) {
		len = strcspn(values, " ");
		if (strncmp(values, "@file", 5) == 0)
			continue;
		fputs(blank, stdout);
		blank = " ";
		if (strncmp(values, "@dir", 4) == 0)
			fputs("(__fish_complete_directories)", stdout);
		else if (strncmp(values, "@image", 6) == 0)
			fputs("(__cloche_images)", stdout);
		else if (strncmp(values, "@function", 9) == 0)
			fputs("(__cloche_functions)", stdout);
		else if (strncmp(values, "@command", 8) == 0)
			fputs("(__fish_complete_subcommand --fcs-skip=2)", stdout);
		else
			print_token(values, len);
	}
	putchar('\'');
}

static void fish_option(const struct place *p, const struct verb_option *o)
{
	printf("complete -c cloche -n '__cloche_at %s'", p->name);
	if (o->name)
		printf(" -l %s", o->name);
	if (o->val < 128)
		printf(" -s %c", o->val);
	if (o->arg) {
		fputs(has_token(o->values, "@file") ? " -r -F" : " -x", stdout);
		fish_values(o->values);
	}
	fputs(" -d ", stdout);
	fish_text(o->text);
	putchar('\n');
}

static void fish_words(const char *where, const struct verb *const *commands)
{
	for (const struct verb *const *c = commands; *c; c++) {
		printf("complete -c cloche -n '%s' -a %s -d ", where, (*c)->name);
		fish_text((*c)->text);
		putchar('\n');
	}
}

static void fish_place(const struct place *p)
{
	const char *values = p->command ? p->command->values : p->verb->values;
	bool more = !p->command && p->verb->commands;
	const struct verb_option *o;
	char where[256] = "";
	size_t at = 0;

	if (more) {
		int n = snprintf(where, sizeof(where), "__cloche_bare %s", p->verb->name);

		for (const struct verb *const *c = p->verb->commands; *c; c++)
			n += snprintf(where + n, sizeof(where) - (size_t)n, " %s", (*c)->name);
		fish_words(where, p->verb->commands);
		return;
	}
	if (values) {
		printf("complete -c cloche -n '__cloche_at %s'%s", p->name,
		       has_token(values, "@file") ? " -F" : "");
		fish_values(values);
		putchar('\n');
	}
	while ((o = place_option_next(p, &at)))
		fish_option(p, o);
}

static void fish(void)
{
	puts("# fish completion of cloche, from `cloche completion fish`\n");
	fputs(completion_fish, stdout);
	puts("complete -c cloche -n __cloche_bare -s h -l help -d 'help'\n"
	     "complete -c cloche -n __cloche_bare -l version -d 'the version'");
	fish_words("__cloche_bare", verbs);
	places_each(fish_place);
}

/* ---- the verb -------------------------------------------------------------------------------- */

static void table(void)
{
	places_each(table_place);
}

int cmd_completion(int argc, char **argv)
{
	static void (*const prints[])(void) = { bash, zsh, fish, table };
	struct verb_getopt known;
	int opt;

	verb_getopt_init(&known, &verb_completion, ":");
	opterr = 0;
	while ((opt = getopt_long(argc, argv, known.shorts, known.longs, NULL)) != -1) {
		if (opt == 'h')
			return verb_help(&verb_completion);
		return args_refused("completion", argv, opt);
	}
	if (optind == argc)
		return args_usage("completion", "say bash, zsh, fish or table");
	if (optind + 1 < argc)
		return args_usage("completion", "unexpected argument '%.80s'", argv[optind + 1]);
	for (size_t i = 0; shells[i]; i++)
		if (strcmp(argv[optind], shells[i]->name) == 0) {
			prints[i]();
			return 0;
		}
	return args_usage("completion", "'%.80s' is none of bash, zsh, fish, table", argv[optind]);
}
