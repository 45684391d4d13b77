/* SPDX-License-Identifier: MIT */
/* What a client asks comes to the daemon as it was said, or not at all. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "serve/request.h"
#include "serve/stores.h"

static char *const argv[] = { "prog", "one", "", NULL };
static char *const env[] = { "A=b", "HOME=/x", NULL };

static int made(struct request *ret)
{
	struct cloche_err err = { 0 };
	struct spec spec;
	struct sock_filter *insns = NULL;
	int order = -1;

	spec_defaults(&spec);
	spec.argv = argv;
	spec.env = env;
	spec.workdir = "/w";
	spec.memory_bytes = 1;
	spec.cpu_time_ns = 2;
	spec.output_bytes = 3;
	cr_assert_eq(request_make(&spec, "name", ret, &insns, &order, &err), 0, "%s", err.text);
	cr_expect(!insns && ret->bare_n == 0, "it is built in");
	return order;
}

static int read_back(const struct request *r, int order)
{
	struct order_block block = { .bytes = NULL };
	struct cloche_err err = { 0 };
	struct order o;
	struct spec spec;
	int code = request_read(r, NULL, order, &block, &o, &spec, &err);

	order_free(&block);
	return code;
}

Test(request, comes_as_it_was_said)
{
	struct request r;
	cleanup_fd int order = made(&r);
	struct order_block block;
	struct cloche_err err = { 0 };
	struct order o;
	struct spec spec;
	bool home = false;

	cr_assert_eq(request_check(&r, &err), 0, "%s", err.text);
	cr_assert_eq(request_read(&r, NULL, order, &block, &o, &spec, &err), 0, "%s", err.text);
	for (int i = 0; i < 4; i++)
		cr_expect(argv[i] ? !strcmp(spec.argv[i], argv[i]) : !spec.argv[i]);
	for (char *const *e = spec.env; *e; e++)
		home |= strcmp(*e, "HOME=/x") == 0;
	cr_expect(home, "the caller's variable");
	cr_expect_str_eq(spec.workdir, "/w");
	cr_expect_str_eq(r.function, "name");
	cr_expect(spec.memory_bytes == 1 && spec.cpu_time_ns == 2 && spec.output_bytes == 3);
	cr_expect_eq(spec.fsize_bytes, UINT64_MAX);
	order_free(&block);
}

Test(request, of_another_version_is_told_so)
{
	struct request r;
	cleanup_fd int order = made(&r);
	struct cloche_err err = { 0 };

	r.version[0]++;
	cr_expect_eq(request_check(&r, &err), -EPROTO);
	cr_expect(strstr(err.text, "version"), "%s", err.text);
}

Test(request, what_there_is_not)
{
	struct request good, r;
	cleanup_fd int order = made(&good);
	struct cloche_err err = { 0 };

	r = good;
	r.kind = REQUEST_KINDS;
	cr_expect_eq(request_check(&r, &err), -EBADMSG);
	r = good;
	r.cpu_mode = UINT32_MAX;
	cr_expect_eq(request_check(&r, &err), -EBADMSG);
	r = good;
	r.order_len = ORDER_MAX + 1;
	cr_expect_eq(request_check(&r, &err), -EBADMSG);
	r = good;
	memset(r.policy, 'x', sizeof(r.policy));
	cr_expect_eq(request_check(&r, &err), -EBADMSG);
	r = good;
	memset(r.function, 'x', sizeof(r.function));
	cr_expect_eq(request_check(&r, &err), -EBADMSG);
}

/* Every length but the right one: what is there is no order, or there is not so much. */
Test(request, an_order_that_is_cut)
{
	struct request r;
	cleanup_fd int order = made(&r);
	uint32_t whole = r.order_len;

	cr_assert_eq(read_back(&r, order), 0);
	for (r.order_len = 0; r.order_len < whole + 20; r.order_len++)
		if (r.order_len != whole)
			cr_expect_lt(read_back(&r, order), 0, "%u of %u", r.order_len, whole);
}

/* What the launcher would take for a breach is the client's alone to hear. */
Test(request, an_image_that_is_none)
{
	struct request good, r;
	cleanup_fd int order = made(&good);
	struct cloche_err err = { 0 };

	(void)snprintf(good.image_name, sizeof(good.image_name), "x");
	hash_sha256_hex("", 0, good.image.sha256);
	good.image.own = 1;
	cr_expect_eq(request_check(&good, &err), 0, "%s", err.text);
	r = good;
	r.image.own = 2;
	cr_expect_eq(request_check(&r, &err), -EBADMSG, "what functions keep");
	r = good;
	r.image.sha256[63] = '\0';
	cr_expect_eq(request_check(&r, &err), -EBADMSG, "half a hash");
	r = good;
	r.kind = REQUEST_BUILD;
	r.image_form = IMAGE_OF_IMAGE;
	cr_expect_eq(request_check(&r, &err), -EBADMSG, "without its hash");
	hash_sha256_hex("", 0, r.image_name);
	cr_expect_eq(request_check(&r, &err), -EINVAL, "without its name");
	(void)snprintf(r.image_ref, sizeof(r.image_ref), "../x");
	cr_expect_eq(request_check(&r, &err), -EINVAL);
	(void)snprintf(r.image_ref, sizeof(r.image_ref), "x");
	cr_expect_eq(request_check(&r, &err), 0, "%s", err.text);
}

/* From a file of a file system it could be read for ever. */
Test(request, an_order_that_is_not_in_memory)
{
	struct request r;
	cleanup_fd int order = made(&r), null = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_expect_eq(read_back(&r, order), 0);
	cr_expect_lt(read_back(&r, null), 0);
	cr_expect_lt(read_back(&r, ends[0]), 0);
	cr_expect_lt(read_back(&r, -1), 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* What is a file is compiled where it is read; of what does not compile nothing is asked. */
Test(request, a_policy_of_ones_own)
{
	static const char *const texts[] = {
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mount\"],"
		"\"action\":\"SCMP_ACT_ERRNO\"}]}",
		"{\"defaultAction\":\"SCMP_ACT_NONSENSE\"}", "{"
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		cleanup_fd int file = memfd_create("profile", MFD_CLOEXEC), order = -1;
		cleanup_free struct sock_filter *insns = NULL;
		struct cloche_err err = { 0 };
		struct request r;
		struct spec spec;
		char path[64];

		cr_assert_eq(write(file, texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
		spec_defaults(&spec);
		spec.argv = argv;
		spec.policy = path;
		if (i > 0) {
			cr_expect_lt(request_make(&spec, NULL, &r, &insns, &order, &err), 0);
			cr_expect(strstr(err.text, path), "%s", err.text);
			continue;
		}
		cr_assert_eq(request_make(&spec, NULL, &r, &insns, &order, &err), 0, "%s",
			     err.text);
		cr_expect(insns && r.bare_n > 0 && request_check(&r, &err) == 0);
		r.bare_n = BPF_MAXINSNS + 1;
		cr_expect_eq(request_check(&r, &err), -EBADMSG);
	}
}
