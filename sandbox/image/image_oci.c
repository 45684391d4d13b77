/* SPDX-License-Identifier: MIT */
/*
 * Imports container images: OCI layouts (image-spec: image-layout.md, image-index.md, manifest.md,
 * config.md) and what `docker save` writes. Nothing is taken on trust: each file is the size and
 * has the digest that the one naming it says, from the index down; what the index says itself is
 * all that a layout is known by.
 */
#include "image/image_oci.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/quote.h"
#include "image/image_layer.h"
#include "image/image_tree.h"
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define JSON_MAX      (4U << 20)
#define INDEX_DEPTH   4
#define DIGEST_PREFIX "sha256:"
#define DIGEST_LEN    (sizeof(DIGEST_PREFIX) - 1 + HASH_HEX_LEN)
#define REF_NAME      "org.opencontainers.image.ref.name"

struct oci {
	struct image_job *job;
	const char *ref;
	int dir;	/* the layout */
	json_t *found;	/* object: digest -> descriptor, of this architecture */
	json_t *others; /* object: architectures that were passed over */
	json_t *refs;	/* object: names of what is there */
};

/* ---- files of the layout --------------------------------------------------------------------- */

static int bad(struct cloche_err *err, const char *what)
{
	return cloche_err_set(err, EBADMSG, "%s", what);
}

/* A regular file of the layout, by a path that must stay inside of it. */
static int layout_open(const struct oci *o, const char *path, struct cloche_err *err)
{
	cleanup_fd int fd = file_open_beneath(o->dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK,
					      RESOLVE_NO_MAGICLINKS);
	char shown[QUOTE_LEN];
	struct stat st;

	if (fd == -EXDEV)
		return cloche_err_set(err, EPERM, "%s leads out of the image: refused",
				      quote(shown, path));
	if (fd < 0 || fstat(fd, &st) < 0)
		return cloche_err_sys(err, fd < 0 ? -fd : errno, "%s", quote(shown, path));
	if (!S_ISREG(st.st_mode))
		return cloche_err_set(err, EBADMSG, "%s is no regular file", quote(shown, path));
	return TAKE_FD(fd);
}

static int digest_check(const char *digest, struct cloche_err *err)
{
	char shown[QUOTE_LEN];
	size_t prefix = strlen(DIGEST_PREFIX);

	if (strncmp(digest, DIGEST_PREFIX, prefix) == 0 &&
	    strspn(digest + prefix, "0123456789abcdef") == HASH_HEX_LEN - 1 &&
	    strlen(digest + prefix) == HASH_HEX_LEN - 1)
		return 0;
	return cloche_err_set(err, EBADMSG, "the digest %s is none that is known: sha256 only",
			      quote(shown, digest));
}

/* Opens a file that must have this digest and, unless that is negative, this size. */
static int file_open_checked(const struct oci *o, const char *path, const char *hex,
			     json_int_t size, struct cloche_err *err)
{
	cleanup_fd int fd = layout_open(o, path, err);
	char sum[HASH_HEX_LEN], shown[QUOTE_LEN];
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return cloche_err_sys(err, errno, "%s", quote(shown, path));
	if (size >= 0 && st.st_size != size)
		return cloche_err_set(err, EBADMSG,
				      "%s is damaged: it has %lld bytes and should have %lld",
				      quote(shown, path), (long long)st.st_size, (long long)size);
	if (hash_sha256_fd(fd, 0, (uint64_t)st.st_size, sum, err) < 0)
		return cloche_err_wrap(err, "%s", quote(shown, path));
	if (strcmp(sum, hex) != 0)
		return cloche_err_set(err, EBADMSG, "%s is damaged: its SHA-256 is %.12s…",
				      quote(shown, path), sum);
	return TAKE_FD(fd);
}

/* Opens what a descriptor names. */
static int blob_open(const struct oci *o, const json_t *descriptor, struct cloche_err *err)
{
	const char *digest = json_string_value(json_object_get(descriptor, "digest"));
	const json_t *size = json_object_get(descriptor, "size");
	char path[DIGEST_LEN + 16];

	if (!digest || !json_is_integer(size) || json_integer_value(size) < 0)
		return bad(err, "a descriptor without digest and size");
	if (digest_check(digest, err) < 0)
		return -err->code;
	(void)snprintf(path, sizeof(path), "blobs/sha256/%s", digest + strlen(DIGEST_PREFIX));
	return file_open_checked(o, path, digest + strlen(DIGEST_PREFIX), json_integer_value(size),
				 err);
}

static int json_from(int fd, const char *name, json_t **ret, struct cloche_err *err)
{
	cleanup_free char *text = NULL;
	json_error_t e;
	size_t len;

	if (file_load_fd(fd, name, JSON_MAX, &text, &len, err) < 0)
		return -err->code;
	*ret = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	if (!*ret)
		return cloche_err_set(err, EBADMSG, "%s, line %d: %s", name, e.line, e.text);
	return 0;
}

static int json_blob(const struct oci *o, const json_t *descriptor, const char *name, json_t **ret,
		     struct cloche_err *err)
{
	cleanup_fd int fd = blob_open(o, descriptor, err);

	return fd < 0 ? cloche_err_wrap(err, "%s", name) : json_from(fd, name, ret, err);
}

static int json_file(const struct oci *o, const char *path, json_t **ret, struct cloche_err *err)
{
	cleanup_fd int fd = layout_open(o, path, err);

	return fd < 0 ? fd : json_from(fd, path, ret, err);
}

/* ---- which image ----------------------------------------------------------------------------- */

/* The names of an object's members, for messages. */
static const char *keys_list(const json_t *object, char *buf, size_t size)
{
	json_t *copy = json_deep_copy(object), *value;
	char shown[QUOTE_LEN];
	const char *key;
	size_t used = 0;

	buf[0] = '\0';
	json_object_foreach (copy, key, value) {
		(void)quote(shown, key);
		if (used + strlen(shown) + 6 > size) {
			(void)snprintf(buf + used, size - used, " …");
			break;
		}
		used += (size_t)sprintf(buf + used, "%s%s", used ? ", " : "", shown);
	}
	json_decref(copy);
	return buf;
}

/* By tag, by the name that containerd gives, or by digest, whose first 12 digits do. */
static bool ref_matches(const char *ref, const json_t *d)
{
	const json_t *notes = json_object_get(d, "annotations");
	const char *name = json_string_value(json_object_get(notes, REF_NAME));
	const char *full = json_string_value(json_object_get(notes, "io.containerd.image.name"));
	const char *digest = json_string_value(json_object_get(d, "digest"));

	return !ref || (name && strcmp(name, ref) == 0) || (full && strcmp(full, ref) == 0) ||
	       (digest && strlen(ref) >= strlen(DIGEST_PREFIX) + 12 &&
		strncmp(digest, ref, strlen(ref)) == 0);
}

static void refs_note(struct oci *o, const json_t *d)
{
	const json_t *notes = json_object_get(d, "annotations");
	const char *name = json_string_value(json_object_get(notes, REF_NAME));

	if (!name)
		name = json_string_value(json_object_get(d, "digest"));
	if (name)
		(void)json_object_set_new(o->refs, name, json_true());
}

static bool media_is_index(const json_t *d)
{
	const char *type = json_string_value(json_object_get(d, "mediaType"));

	return type &&
	       (strcmp(type, "application/vnd.oci.image.index.v1+json") == 0 ||
		strcmp(type, "application/vnd.docker.distribution.manifest.list.v2+json") == 0);
}

/* Collects the manifests of this architecture. Those that do not say theirs are looked at later. */
static int index_walk(struct oci *o, const json_t *index, int depth, struct cloche_err *err)
{
	const json_t *list = json_object_get(index, "manifests"), *d;
	size_t i;
	int r = 0;

	if (!json_is_array(list))
		return bad(err, "the index has no list of manifests");
	json_array_foreach (list, i, d) {
		const json_t *platform = json_object_get(d, "platform");
		const char *arch = json_string_value(json_object_get(platform, "architecture"));
		const char *os = json_string_value(json_object_get(platform, "os"));
		const char *digest = json_string_value(json_object_get(d, "digest"));

		if (!digest)
			return bad(err, "the index has a manifest without a digest");
		if (depth == 0) {
			refs_note(o, d);
			if (!ref_matches(o->ref, d))
				continue;
		}
		if (media_is_index(d)) {
			json_t *inner = NULL;

			if (depth == INDEX_DEPTH)
				return bad(err, "the index is nested too deeply");
			r = json_blob(o, d, "index", &inner, err);
			if (r == 0)
				r = index_walk(o, inner, depth + 1, err);
			json_decref(inner);
			if (r < 0)
				return r;
		} else if (arch && os && strcmp(os, "unknown") == 0) {
			continue; /* an attestation, not an image */
		} else if (arch &&
			   (strcmp(arch, IMAGE_ARCH) != 0 || (os && strcmp(os, "linux") != 0))) {
			(void)json_object_set_new(o->others, arch, json_true());
		} else {
			(void)json_object_set(o->found, digest, (json_t *)d);
		}
	}
	return 0;
}

static int choose(struct oci *o, const json_t **ret, struct cloche_err *err)
{
	char list[256], shown[QUOTE_LEN];
	void *only = json_object_iter(o->found);

	if (json_object_size(o->found) == 1) {
		*ret = json_object_iter_value(only);
		return 0;
	}
	if (only)
		return cloche_err_set(
			err, EINVAL, "it holds several images; say " CLOCHE_FIELD "ref, one of: %s",
			keys_list(json_object_size(o->refs) > 1 ? o->refs : o->found, list,
				  sizeof(list)));
	if (json_object_size(o->others) > 0)
		return cloche_err_set(err, ENOEXEC,
				      "it is for %s: this program and machine are " IMAGE_ARCH,
				      keys_list(o->others, list, sizeof(list)));
	if (o->ref && json_object_size(o->refs) > 0)
		return cloche_err_set(err, ENOENT, "it has no image %s; there is: %s",
				      quote(shown, o->ref), keys_list(o->refs, list, sizeof(list)));
	return bad(err, "it holds no image");
}

/* ---- one image ------------------------------------------------------------------------------- */

/* The architecture, and one digest of content for each layer. */
static int config_check(const json_t *config, size_t n_layers, struct cloche_err *err)
{
	const char *arch = json_string_value(json_object_get(config, "architecture"));
	const char *os = json_string_value(json_object_get(config, "os"));
	const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids"), *id;
	char shown[QUOTE_LEN];
	size_t i;

	if (!arch || !json_is_array(ids))
		return bad(err, "its config is not that of a container image");
	if (os && strcmp(os, "linux") != 0)
		return cloche_err_set(err, ENOEXEC, "it is for the system %s, this is Linux",
				      quote(shown, os));
	if (strcmp(arch, IMAGE_ARCH) != 0)
		return cloche_err_set(err, ENOEXEC,
				      "it is for %s: this program and machine are " IMAGE_ARCH,
				      quote(shown, arch));
	if (json_array_size(ids) != n_layers)
		return cloche_err_set(err, EBADMSG, "it has %zu layers, its config says %zu",
				      n_layers, json_array_size(ids));
	json_array_foreach (ids, i, id) {
		if (!json_is_string(id))
			return bad(err, "its config has a layer without a digest");
		if (digest_check(json_string_value(id), err) < 0)
			return -err->code;
	}
	return 0;
}

/* What an image says of itself: shown by `cloche image show`, and what a run in it starts from
 * (launch/image_config.h), which checks it. */
static int describe(struct oci *o, const json_t *config, const char *digest, struct cloche_err *err)
{
	static const char *const kept[][2] = { { "Env", "env" },
					       { "Entrypoint", "entrypoint" },
					       { "Cmd", "cmd" },
					       { "WorkingDir", "workdir" } };
	const json_t *c = json_object_get(config, "config");
	json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	int r = json_object_set_new(o->job->meta, "source_digest", json_string(digest));

	if (r == 0)
		r = json_object_set(o->job->meta, "layers", ids);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]) && r == 0; i++) {
		json_t *value = json_object_get(c, kept[i][0]);

		if (json_is_string(value) || json_is_array(value))
			r = json_object_set(o->job->meta, kept[i][1], value);
	}
	return r < 0 ? cloche_err_sys(err, ENOMEM, "image") : 0;
}

/* As whoever runs an image makes its working directory; what runs in this one cannot. What is in
 * the way, or a path that climbs out, is said by the run. */
static void try_make_workdir(struct oci *o)
{
	const char *dir = json_string_value(json_object_get(o->job->meta, "workdir"));
	cleanup_free char *below = NULL;
	char name[NAME_MAX + 1];
	cleanup_fd int fd = -1;

	if (!dir || !*dir)
		return;
	if (asprintf(&below, "%s/x", dir) < 0)
		below = NULL;
	else
		(void)tree_parent(o->job->tree_fd, below, &fd, name, NULL);
}

static int layer_take(struct oci *o, int fd, const json_t *config, size_t i, struct cloche_err *err)
{
	const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	const char *id = json_string_value(json_array_get(ids, i)) + strlen(DIGEST_PREFIX);

	if (fd < 0 || layer_apply(o->job->tree_fd, fd, id, err) < 0)
		return cloche_err_wrap(err, "layer %zu", i + 1);
	return 0;
}

/* What both forms of an archive have: a config, and layers, each of which layer_open finds. */
static int image_take(struct oci *o, const json_t *config, const char *digest, const json_t *layers,
		      int (*layer_open)(const struct oci *o, const json_t *layer,
					struct cloche_err *err),
		      struct cloche_err *err)
{
	const json_t *layer;
	size_t i;
	int r = config_check(config, json_array_size(layers), err);

	if (r == 0)
		r = describe(o, config, digest, err);
	if (r == 0)
		image_say(o->job, "unpacking %zu layers", json_array_size(layers));
	json_array_foreach (layers, i, layer) {
		cleanup_fd int fd = -1;

		if (r < 0)
			break;
		fd = layer_open(o, layer, err);
		r = layer_take(o, fd, config, i, err);
	}
	if (r == 0)
		try_make_workdir(o);
	return r;
}

static int manifest_import(struct oci *o, const json_t *manifest, const char *digest,
			   struct cloche_err *err)
{
	const json_t *layers = json_object_get(manifest, "layers");
	json_t *config = NULL;
	int r;

	if (!json_is_array(layers))
		return bad(err, "the manifest has no list of layers");
	r = json_blob(o, json_object_get(manifest, "config"), "config", &config, err);
	if (r == 0)
		r = image_take(o, config, digest, layers, blob_open, err);
	json_decref(config);
	return r;
}

static int layout_import(struct oci *o, struct cloche_err *err)
{
	json_t *mark = NULL, *index = NULL, *manifest = NULL;
	const json_t *d = NULL;
	int r = json_file(o, "oci-layout", &mark, err);

	if (r == 0 && strcmp(json_string_value(json_object_get(mark, "imageLayoutVersion")) ?: "",
			     "1.0.0") != 0)
		r = bad(err, "'oci-layout': the version is not 1.0.0");
	if (r == 0)
		r = json_file(o, "index.json", &index, err);
	if (r == 0)
		r = index_walk(o, index, 0, err);
	if (r == 0)
		r = choose(o, &d, err);
	if (r == 0)
		r = json_blob(o, d, "manifest", &manifest, err);
	if (r == 0)
		r = manifest_import(o, manifest, json_string_value(json_object_get(d, "digest")),
				    err);
	json_decref(mark);
	json_decref(index);
	json_decref(manifest);
	return r;
}

/* ---- docker save ----------------------------------------------------------------------------- */

static bool docker_matches(const char *ref, const json_t *image)
{
	const json_t *tags = json_object_get(image, "RepoTags"), *tag;
	size_t i;

	if (!ref)
		return true;
	json_array_foreach (tags, i, tag)
		if (json_is_string(tag) && strcmp(json_string_value(tag), ref) == 0)
			return true;
	return false;
}

/* The config's name is its digest: HEX.json, or blobs/sha256/HEX. */
static int docker_config(const struct oci *o, const char *path, json_t **ret, char *digest,
			 struct cloche_err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char hex[HASH_HEX_LEN];
	cleanup_fd int fd = -1;

	(void)snprintf(hex, sizeof(hex), "%s", name);
	(void)snprintf(digest, DIGEST_LEN, DIGEST_PREFIX "%s", hex);
	if (digest_check(digest, NULL) < 0)
		return cloche_err_set(err, EBADMSG,
				      "manifest.json: the config is not named by its digest");
	fd = file_open_checked(o, path, hex, -1, err);
	return fd < 0 ? fd : json_from(fd, "config", ret, err);
}

static int docker_layer_open(const struct oci *o, const json_t *layer, struct cloche_err *err)
{
	return layout_open(o, json_string_value(layer) ?: "", err);
}

static int docker_image(struct oci *o, const json_t *image, struct cloche_err *err)
{
	const char *path = json_string_value(json_object_get(image, "Config"));
	const json_t *layers = json_object_get(image, "Layers");
	char digest[DIGEST_LEN];
	json_t *config = NULL;
	int r;

	if (!path || !json_is_array(layers))
		return bad(err, "manifest.json: an image without Config and Layers");
	r = docker_config(o, path, &config, digest, err);
	if (r == 0)
		r = image_take(o, config, digest, layers, docker_layer_open, err);
	json_decref(config);
	return r;
}

static int docker_import(struct oci *o, struct cloche_err *err)
{
	const json_t *image = NULL, *at, *tag;
	json_t *list = NULL;
	char names[256], shown[QUOTE_LEN];
	size_t i, k, n = 0;
	int r = json_file(o, "manifest.json", &list, err);

	json_array_foreach (list, i, at) {
		json_array_foreach (json_object_get(at, "RepoTags"), k, tag)
			if (json_is_string(tag))
				(void)json_object_set_new(o->refs, json_string_value(tag),
							  json_true());
		if (docker_matches(o->ref, at)) {
			image = at;
			n++;
		}
	}
	if (r == 0 && json_array_size(list) == 0)
		r = bad(err, "it holds no image");
	else if (r == 0 && n == 0)
		r = cloche_err_set(err, ENOENT, "it has no image %s; there is: %s",
				   quote(shown, o->ref), keys_list(o->refs, names, sizeof(names)));
	else if (r == 0 && n != 1)
		r = cloche_err_set(err, EINVAL,
				   "it holds %zu such images; say " CLOCHE_FIELD "ref, one of: %s",
				   n, keys_list(o->refs, names, sizeof(names)));
	if (r == 0)
		r = docker_image(o, image, err);
	json_decref(list);
	return r;
}

/* ---- the source ------------------------------------------------------------------------------ */

/* An archive is unpacked beside the tree first: its parts come in any order. */
static int source_open(struct image_job *job, int fd, struct cloche_err *err)
{
	cleanup_fd int dir = -1;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return cloche_err_sys(err, errno, "open");
	if (S_ISDIR(st.st_mode)) {
		dir = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		return dir < 0 ? cloche_err_sys(err, errno, "open") : TAKE_FD(dir);
	}
	if (mkdir("archive", 0700) < 0)
		return cloche_err_sys(err, errno, "make a folder");
	dir = open("archive", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return cloche_err_sys(err, errno, "open the folder");
	image_say(job, "reading the archive");
	if (archive_unpack(dir, fd, err) < 0)
		return -err->code;
	return TAKE_FD(dir);
}

int oci_source_cut(struct oci_source *s, struct cloche_err *err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return cloche_err_sys(err, errno, "open");
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = (int)syscall(SYS_open_tree, s->fd, "",
			  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (fd < 0)
		return cloche_err_sys(err, errno, "cut it off from the host's files (open_tree)");
	fd_close(&s->fd);
	s->fd = TAKE_FD(fd);
	return 0;
}

int oci_fill(struct image_job *job, struct cloche_err *err)
{
	const struct oci_source *source = job->arg;
	struct oci o = { .job = job,
			 .ref = source->ref,
			 .found = json_object(),
			 .others = json_object(),
			 .refs = json_object() };
	char shown[QUOTE_LEN];
	int r = 0;

	job->times_kept = true;
	if (!o.found || !o.others || !o.refs)
		r = cloche_err_sys(err, ENOMEM, "import");
	o.dir = r < 0 ? -1 : source_open(job, source->fd, err);
	if (r == 0)
		r = o.dir < 0 ? o.dir : 0;
	if (r == 0 && faccessat(o.dir, "oci-layout", F_OK, 0) == 0)
		r = layout_import(&o, err);
	else if (r == 0 && faccessat(o.dir, "manifest.json", F_OK, 0) == 0)
		r = docker_import(&o, err);
	else if (r == 0)
		r = bad(err, "it is neither an OCI layout nor an archive of docker save");
	fd_close(&o.dir);
	json_decref(o.found);
	json_decref(o.others);
	json_decref(o.refs);
	if (r == 0 || !source->path)
		return r;
	return strcmp(source->path, "/dev/stdin") == 0
		       ? cloche_err_wrap(err, "import standard input")
		       : cloche_err_wrap(err, "import %s", quote(shown, source->path));
}
