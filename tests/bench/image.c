/* SPDX-License-Identifier: MIT */
/*
 * Function images beside the host's /usr: made by the program under measurement, as its users make
 * theirs, in a store of the bench's own. One is the shipped one, whose python3 is another build
 * than the host's and has another library; so that nothing differs but where the files are, there
 * is the host's python3 too, as a directory and as an image of that.
 */
#include "subject.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "run.h"

#define IMAGE_WORDS 6

/* The program, its library and the others', and the shared objects, below usr as on the host. */
static const char tree_script[] =
	"set -e; umask 022; mkdir \"$0\"; cd \"$0\"; mkdir -p usr/lib dev proc sys tmp opt\n"
	"for dir in bin lib lib64; do ln -s usr/$dir $dir; done\n"
	"library=$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path(\"stdlib\"))')\n"
	"cp -a --parents \"$library\" .\n"
	"[ ! -d /usr/lib/python3 ] || cp -a --parents /usr/lib/python3 .\n"
	"for file in /usr/bin/python3 $(ldd /usr/bin/python3 | grep -o '/[^ ]*'); do\n"
	"	install -D \"$file\" \"usr/${file#/usr}\"\n"
	"done\n";

static int run_words(const struct stage *stage, const char *name,
		     const char *const words[IMAGE_WORDS], struct cloche_err *err)
{
	struct command command = { .name = name, .id_at = -1 };
	int64_t ns;

	for (size_t i = 0; i < IMAGE_WORDS; i++)
		command.argv[i] = (char *)words[i];
	return run_once(&command, stage, &ns, err);
}

#define RUN_WORDS(stage, name, err, ...) \
	run_words((stage), (name), (const char *const[IMAGE_WORDS]){ __VA_ARGS__ }, (err))

static void why_not(char why[static ERR_LEN], int r, const struct cloche_err *err)
{
	if (r < 0)
		snprintf(why, ERR_LEN, "%s", err->text);
}

void stage_images_make(struct stage *stage)
{
	struct cloche_err err = { 0 };
	char store[96];
	int r;

	printf("\nbuilding images ...\n");
	fflush(stdout);
	snprintf(store, sizeof(store), "%s/images", stage->dir);
	r = stage_mkdir(store, &err);
	if (r == 0)
		r = RUN_WORDS(stage, "cloche image build", &err, stage->cloche, "image", "build",
			      STAGE_IMAGE);
	why_not(stage->no_image, r, &err);
	r = RUN_WORDS(stage, "copy python3", &err, "/bin/sh", "-c", tree_script, stage->tree);
	if (r == 0)
		r = RUN_WORDS(stage, "cloche image build", &err, stage->cloche, "image", "build",
			      "--dir", stage->tree, STAGE_TREE_IMAGE);
	why_not(stage->no_tree, r, &err);
}

/* Their mounts, too: removing the directory alone would leave those. */
static void image_remove(const struct stage *stage, const char *name)
{
	struct cloche_err err = { 0 };

	if (RUN_WORDS(stage, "cloche image remove", &err, stage->cloche, "image", "remove", name) <
	    0)
		fprintf(stderr, "bench: %s\n", err.text);
}

void stage_images_remove(struct stage *stage)
{
	if (!stage->no_image[0])
		image_remove(stage, STAGE_IMAGE);
	if (!stage->no_tree[0])
		image_remove(stage, STAGE_TREE_IMAGE);
}
