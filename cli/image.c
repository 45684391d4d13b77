/* SPDX-License-Identifier: MIT */
/* `cloche image`: make, look at and remove the root file systems that functions run in. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "cli/image_user.h"
#include "cli/run_caller.h"
#include "image/image_about.h"
#include "image/image_oci.h"
#include "image/image_recipe.h"
#include "cli/show.h"
#include "cli/verb.h"
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { OPT_RECIPE = 256, OPT_DIR, OPT_REF, OPT_JSON };

static const struct verb *const commands[] = {
	&(const struct verb){ .name = "build",
			      .takes = "recipe dir",
			      .text = "from Debian packages, by the recipe of that name: base, "
				      "python3 or nodejs. "
				      "The same package versions give the same bytes.",
			      .values = "@recipe" },
	&(const struct verb){
		.name = "import",
		.takes = "ref",
		.text = "from an OCI layout directory, an archive of one, or an archive that "
			"'docker "
			"save' wrote. All digests are checked. Environment, working directory, "
			"entrypoint and command of it apply in 'cloche run'.",
		.values = "@file" },
	&(const struct verb){ .name = "list", .takes = "json", .text = "what there is" },
	&(const struct verb){ .name = "show",
			      .takes = "json",
			      .text = "one of them: packages or origin, environment, command",
			      .values = "@image" },
	&(const struct verb){
		.name = "verify",
		.text = "read the images and compare their hashes; each is also checked when it is "
			"first used after a boot",
		.values = "@image" },
	&(const struct verb){ .name = "remove",
			      .text = "take them away; contexts that run in one keep it",
			      .values = "@image" },
	NULL,
};

static const struct verb_option options[] = {
	{ .text = "Options" },
	{ "recipe", OPT_RECIPE, "FILE", "@file",
	  "build from this list of packages, one a line; 'include base' takes in a shipped "
	  "recipe" },
	{ "dir", OPT_DIR, "DIR", "@dir",
	  "build from what is in a directory, without what is mounted below it" },
	{ "ref", OPT_REF, "REF", NULL, "which image of several: its tag or digest" },
	{ "json", OPT_JSON, NULL, NULL, "JSON, for list one object a line" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_image = {
	.name = "image",
	.run = cmd_image,
	.text = "build, import, list, show and remove function images",
	.usage = "Usage: cloche image build [--recipe FILE|--dir DIR] NAME\n"
		 "       cloche image import [--ref REF] FILE NAME\n"
		 "       cloche image list [--json]\n"
		 "       cloche image show [--json] NAME\n"
		 "       cloche image verify NAME…\n"
		 "       cloche image remove NAME…\n\n"
		 "Function images: read-only root file systems for 'cloche run --rootfs NAME'.\n",
	.commands = commands,
	.options = options,
	.tail = "Without root these are your own, which the daemon keeps, and the host's.\n"
		"An image of that name is replaced when the new one is whole; what runs in the\n"
		"old one goes on. Images are kept in /var/lib/cloche/images, or where\n"
		"CLOCHE_IMAGES says. No file in one is newer than SOURCE_DATE_EPOCH, if that is\n"
		"set.\n"
		"Exit status: 0, 1 when it could not be done, 2 usage, 128 + N when signal N\n"
		"ended it; then nothing was made.\n\n"
		"Examples:\n"
		"  cloche image build python3\n"
		"  cloche run --rootfs python3 -- python3 -c 'print(6 * 7)'\n"
		"  docker save golang | cloche image import - golang\n"
		"  cloche run --rootfs golang go version\n",
};

struct args {
	const char *recipe, *dir, *ref;
	bool json;
	char **names;
	size_t n;
};

static int usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int usage(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	show_line("cloche image: %s; see 'cloche image --help'", text);
	return EXIT_USAGE;
}

static int failed(const struct cloche_err *err)
{
	struct cloche_err shown = *err;

	show_as_options(&shown);
	fprintf(stderr, "cloche image: %s\n", shown.text);
	return 1;
}

/* ---- build and import ------------------------------------------------------------------------ */

/* One line on standard output when it is there: name, hash, size. */
static int made(const char *name, int r, int sig, const struct cloche_err *err)
{
	struct image_stores stores = { .fd = { -1, -1 } };
	struct image image = { .fd = -1 };
	struct cloche_err e = { 0 };
	bool own;

	if (r < 0) {
		(void)failed(err);
		return sig ? 128 + sig : 1;
	}
	r = image_stores_open(&stores, &e);
	if (r == 0)
		r = image_stores_find(&stores, name, &image, &own, &e);
	if (r == 0)
		printf("%s %s %" PRIu64 " bytes\n", name, image.sha256, image.bytes);
	image_close(&image);
	image_stores_close(&stores);
	return r < 0 ? failed(&e) : 0;
}

static void progress(const char *line)
{
	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr, "%s\n", line);
}

/* With the rights of the user for whom sudo runs this. */
static int named_open(const char *option, const char *path, struct cloche_err *err)
{
	struct run_caller caller;
	char shown[QUOTE_LEN];
	int r = run_caller_read(&caller, err);

	if (r < 0)
		return r;
	r = rights_call(run_caller_rights(&caller), file_open_input, path);
	return r < 0 ? cloche_err_sys(err, -r, CLOCHE_FIELD "%s %s", option, quote(shown, path))
		     : r;
}

static int image_build(const struct args *a)
{
	cleanup_free char *text = NULL;
	struct cloche_err err = { 0 };
	const char *recipe = NULL;
	char shown[QUOTE_LEN], real[PATH_MAX];
	int sig = 0, r;
	size_t len;

	if (a->n != 1)
		return usage("build needs one NAME");
	if (a->dir) {
		cleanup_fd int fd = named_open("dir", a->dir, &err);
		struct stat st;

		if (fd < 0)
			return failed(&err);
		if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode) ||
		    file_fd_path(fd, real, sizeof(real)) < 0) {
			(void)cloche_err_sys(&err, ENOTDIR, CLOCHE_FIELD "dir %s",
					     quote(shown, a->dir));
			return failed(&err);
		}
		if (image_user_is()) {
			r = image_user_build(real, a->names[0], &err);
			return made(a->names[0], r, 0, &err);
		}
		r = image_make(a->names[0], "directory", -1, directory_fill, real, progress, &sig,
			       &err);
		return made(a->names[0], r, sig, &err);
	}
	if (a->recipe) {
		cleanup_fd int fd = named_open("recipe", a->recipe, &err);

		if (fd < 0 || file_load_fd(fd, a->recipe, 1U << 20, &text, &len, &err) < 0)
			return failed(&err);
		recipe = text;
	} else {
		recipe = recipe_find(a->names[0]);
	}
	if (!recipe) {
		fprintf(stderr, "cloche image: there is no recipe %s; shipped are:",
			quote(shown, a->names[0]));
		for (const struct recipe *s = recipes; s->name; s++)
			fprintf(stderr, " %s", s->name);
		fputs("; --recipe FILE takes another\n", stderr);
		return 1;
	}
	if (image_user_is()) {
		r = image_user_build_packages(recipe, a->names[0], progress, &err);
		return made(a->names[0], r, 0, &err);
	}
	r = image_make(a->names[0], a->recipe ? "recipe" : a->names[0], -1, recipe_fill, recipe,
		       progress, &sig, &err);
	return made(a->names[0], r, sig, &err);
}

/* With the rights of the user for whom sudo runs this; standard input is open already. */
static int source_open(struct oci_source *s, struct cloche_err *err)
{
	struct run_caller caller;
	char shown[QUOTE_LEN];
	int r = run_caller_read(&caller, err);

	if (r < 0)
		return r;
	if (strcmp(s->path, "/dev/stdin") == 0) {
		s->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		s->fd = s->fd < 0 ? -errno : s->fd;
	} else {
		s->fd = rights_call(run_caller_rights(&caller), file_open_input, s->path);
	}
	if (s->fd < 0)
		return cloche_err_sys(err, -s->fd, "import %s", quote(shown, s->path));
	if (geteuid() == 0 && oci_source_cut(s, err) < 0)
		return cloche_err_wrap(err, "import %s", quote(shown, s->path));
	return 0;
}

static int image_import(const struct args *a)
{
	struct oci_source source = { .fd = -1, .ref = a->ref };
	struct cloche_err err = { 0 };
	char shown[QUOTE_LEN], real[PATH_MAX];
	int sig = 0, r;

	if (a->n != 2)
		return usage("import needs FILE and NAME");
	if (image_user_is()) {
		r = image_user_import(a->names[0], a->ref, a->names[1], &err);
		return made(a->names[1], r, 0, &err);
	}
	if (strcmp(a->names[0], "-") == 0) {
		source.path = "/dev/stdin";
	} else if (realpath(a->names[0], real)) {
		source.path = real;
	} else {
		(void)cloche_err_sys(&err, errno, "%s", quote(shown, a->names[0]));
		return failed(&err);
	}
	if (source_open(&source, &err) < 0)
		return failed(&err);
	r = image_make(a->names[1], "oci", source.fd, oci_fill, &source, progress, &sig, &err);
	fd_close(&source.fd);
	return made(a->names[1], r, sig, &err);
}

/* ---- list, show, verify, remove -------------------------------------------------------------- */

/* What is known without its description, which may not say otherwise. */
static const char *const own_keys[] = { "schema",  "name",    "sha256", "bytes",
					"made_at", "mounted", "own",	NULL };

static json_t *own_make(const struct image *image, const char *name, bool own)
{
	char made_at[CLOCK_ISO_LEN];
	json_t *mounted;

	clock_format_iso(image->made_ns, made_at);
	/* Only root can look. */
	mounted = geteuid() == 0 ? json_boolean(image_mounted(image->sha256)) : json_null();
	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:o, s:b}", "schema", "cloche.image/1", "name",
			 name, "sha256", image->sha256, "bytes", (json_int_t)image->bytes,
			 "made_at", made_at, "mounted", mounted, "own", own);
}

static void size_format(uint64_t bytes, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%.1f MiB", (double)bytes / (1 << 20));
}

/* One object of ours and the description's: neither is ever empty. */
static void json_show(const char *own, const struct image_about *about)
{
	show_as(SHOW_JSON);
	printf("%.*s%s", (int)strlen(own) - 1, own, about->len > 2 ? "," : "");
	(void)fwrite(about->text + 1, 1, about->len - 1, stdout);
	(void)putchar('\n');
	show_as(SHOW_TEXT);
}

static void row_show(const struct image *image, const char *name, bool own,
		     const struct image_about *about)
{
	char size[32], made_at[CLOCK_ISO_LEN];

	size_format(image->bytes, size, sizeof(size));
	clock_format_iso(image->made_ns, made_at);
	printf("%-20s %12s  %.19sZ  %.12s  %s%s\n", name, size, made_at, image->sha256, about->kind,
	       own ? " (yours)" : "");
}

static void lines_show(const json_t *own, const struct image_about *about)
{
	const json_t *value;
	const char *key;

	json_object_foreach ((json_t *)own, key, value) {
		cleanup_free char *text = json_dumps(value, JSON_ENCODE_ANY);

		printf("%-12s %s\n", key,
		       json_is_string(value) ? json_string_value(value)
		       : text		     ? text
					     : "?");
	}
	(void)fwrite(about->text, 1, about->len, stdout);
}

enum view { VIEW_ROW, VIEW_LINES, VIEW_JSON };

static int image_view(const struct image *image, const char *name, bool own_one, enum view view,
		      struct cloche_err *err)
{
	struct image_about about = { 0 };
	cleanup_free char *text = NULL;
	json_t *own = NULL;
	int r = image_about_load(image, name,
				 view == VIEW_JSON ? IMAGE_ABOUT_JSON : IMAGE_ABOUT_LINES, own_keys,
				 &about, err);

	if (r < 0)
		return r;
	own = own_make(image, name, own_one);
	text = own ? json_dumps(own, JSON_COMPACT) : NULL;
	if (!text)
		r = cloche_err_sys(err, ENOMEM, "image '%s'", name);
	else if (view == VIEW_JSON)
		json_show(text, &about);
	else if (view == VIEW_ROW)
		row_show(image, name, own_one, &about);
	else
		lines_show(own, &about);
	json_decref(own);
	image_about_free(&about);
	return r;
}

static int list_store(int store, bool own, bool json)
{
	struct cloche_err err = { 0 };
	char **names = NULL;
	size_t n = 0;
	int status = 0;

	if (image_names(store, &names, &n, &err) < 0)
		return failed(&err);
	for (size_t i = 0; i < n; i++) {
		struct image image = { .fd = -1 };

		/* One that is damaged does not hide the others. */
		if (image_open(store, names[i], &image, &err) < 0 ||
		    image_view(&image, names[i], own, json ? VIEW_JSON : VIEW_ROW, &err) < 0)
			status = failed(&err);
		image_close(&image);
	}
	image_names_free(names, n);
	return status;
}

static int image_list(const struct args *a)
{
	struct image_stores stores;
	struct cloche_err err = { 0 };
	int status = 0;

	if (a->n != 0)
		return usage("list takes no name");
	if (image_stores_open(&stores, &err) < 0)
		return failed(&err);
	if (!a->json)
		printf("%-20s %12s  %-20s  %-12s  %s\n", "NAME", "SIZE", "MADE", "SHA-256", "KIND");
	if (stores.fd[STORES_OWN] >= 0)
		status = list_store(stores.fd[STORES_OWN], true, a->json);
	if (stores.fd[STORES_SHARED] >= 0)
		status |= list_store(stores.fd[STORES_SHARED], false, a->json);
	image_stores_close(&stores);
	return status;
}

static int image_show(const struct args *a)
{
	struct image_stores stores;
	struct image image = { .fd = -1 };
	struct cloche_err err = { 0 };
	bool own = false;
	int r;

	if (a->n != 1)
		return usage("show needs one NAME");
	r = image_stores_open(&stores, &err);
	if (r < 0)
		return failed(&err);
	r = image_stores_find(&stores, a->names[0], &image, &own, &err);
	if (r == 0)
		r = image_view(&image, a->names[0], own, a->json ? VIEW_JSON : VIEW_LINES, &err);
	image_close(&image);
	image_stores_close(&stores);
	return r < 0 ? failed(&err) : 0;
}

static int image_verify_all(const struct args *a)
{
	struct image_stores stores;
	struct cloche_err err = { 0 };
	int status = 0;
	bool own;

	if (a->n == 0)
		return usage("verify needs a NAME");
	if (image_stores_open(&stores, &err) < 0)
		return failed(&err);
	for (size_t i = 0; i < a->n; i++) {
		struct image image = { .fd = -1 };
		int r = image_stores_find(&stores, a->names[i], &image, &own, &err);

		if (r == 0)
			r = image_verify(&image, a->names[i], NULL, &err);
		if (r < 0)
			status = failed(&err);
		else
			printf("%s %s intact\n", a->names[i], image.sha256);
		image_close(&image);
	}
	image_stores_close(&stores);
	return status;
}

static int remove_all_own(const struct args *a)
{
	struct cloche_err err = { 0 };
	int status = 0;

	for (size_t i = 0; i < a->n; i++)
		if (image_user_remove(a->names[i], &err) < 0)
			status = failed(&err);
	return status;
}

static int remove_named(const struct args *a)
{
	struct cloche_err err = { 0 };
	cleanup_fd int store = -1;
	int status = 0;

	if (a->n == 0)
		return usage("remove needs a NAME");
	if (image_user_is())
		return remove_all_own(a);
	store = image_store_open(false, &err);
	if (store < 0)
		return failed(&err);
	for (size_t i = 0; i < a->n; i++)
		if (image_remove(store, a->names[i], &err) < 0)
			status = failed(&err);
	/* Also of one whose file somebody else removed, or is too damaged to say what it was. */
	if (image_unmount_forsaken(store, &err) < 0)
		status = failed(&err);
	return status;
}

/* ---- the verb -------------------------------------------------------------------------------- */

/* In the order of the commands. */
static const struct word {
	const char *name;
	int (*run)(const struct args *a);
} words[] = {
	{ "build", image_build }, { "import", image_import },	  { "list", image_list },
	{ "show", image_show },	  { "verify", image_verify_all }, { "remove", remove_named },
};

static const struct word *word_find(const char *name)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].name, name) == 0)
			return &words[i];
	return NULL;
}

/* 0: go on; 1: help was asked for; EXIT_USAGE. */
static int args_parse(int argc, char **argv, const struct word *w, struct args *a)
{
	struct verb_getopt known;
	char shown[QUOTE_LEN];
	int c;

	verb_getopt_init(&known, &verb_image, ":");
	opterr = 0;
	while ((c = getopt_long(argc, argv, known.shorts, known.longs, NULL)) >= 0) {
		if (c == 'h')
			return 1;
		if (c == ':')
			return usage("option %s needs a value", quote(shown, argv[optind - 1]));
		if (c == '?')
			return usage("%s: unknown option %s", w->name,
				     quote(shown, argv[optind - 1]));
		if (!verb_command_takes(commands[w - words], verb_option_of(&verb_image, c)))
			return usage("%s: unknown option '--%s'", w->name,
				     verb_option_of(&verb_image, c)->name);
		if (c == OPT_RECIPE)
			a->recipe = optarg;
		else if (c == OPT_DIR)
			a->dir = optarg;
		else if (c == OPT_REF)
			a->ref = optarg;
		else
			a->json = true;
	}
	if (a->recipe && a->dir)
		return usage("--recipe and --dir exclude each other");
	a->names = argv + optind;
	a->n = (size_t)(argc - optind);
	return 0;
}

int cmd_image(int argc, char **argv)
{
	struct cloche_err err = { 0 };
	const struct word *w;
	struct args a = { 0 };
	char shown[QUOTE_LEN];
	int r;

	if (argc < 2)
		return usage("say build, import, list, show, verify or remove");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return verb_help(&verb_image);
	w = word_find(argv[1]);
	if (!w)
		return usage("%s is none of build, import, list, show, verify, remove",
			     quote(shown, argv[1]));
	r = args_parse(argc - 1, argv + 1, w, &a);
	if (r == 1)
		return verb_help(&verb_image);
	for (size_t i = 0; r == 0 && i < a.n; i++)
		if ((w->run != image_import || i == 1) && image_name_check(a.names[i], &err) < 0)
			return usage("%s", err.text);
	if (r == 0)
		r = w->run(&a);
	if (r == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
		fprintf(stderr, "cloche image: write to standard output: %m\n");
		return 1;
	}
	return r;
}
