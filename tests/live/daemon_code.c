/* SPDX-License-Identifier: MIT */
/* What is sent to the daemon as functions, and as their code, by clients and archives that nobody
 * should believe. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "function/function_json.h"
#include "serve/listing.h"
#include "serve/packet.h"
#include "serve/remote.h"
#include "serve/remote_function.h"
#include "serve/request.h"
#include "serve/stores.h"
#include "tests/lib/functions.h"
#include "tests/lib/oci.h"

/* ---- what is sent is hostile ------------------------------------------------------------------
 */

/* Bytes as the code of that hash, as a client of no rights may send them. In a process of its own,
 * which says what it is told. */
static char *send_code(const struct project *s, const void *bytes, size_t len, const char *sha256)
{
	static char text[600];
	int told[2];
	pid_t pid;
	ssize_t n;

	cr_assert_eq(pipe2(told, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		const struct remote_image what = { .name = sha256, .form = IMAGE_OF_CODE };
		struct remote r = { .socket = -1 };
		struct cloche_err err = { 0 };
		int fd = -1;

		if (setresgid(1000, 1000, 1000) < 0 || setresuid(1000, 1000, 1000) < 0)
			_exit(1);
		(void)signal(SIGPIPE, SIG_IGN);
		if (remote_image_begin(s->d.control, &what, &r, &fd, &err) == 0) {
			(void)file_write_all(fd, bytes, len);
			(void)close(fd);
			(void)remote_image_done(&r, &err);
		}
		(void)!write(told[1], err.code ? err.text : "done",
			     err.code ? strlen(err.text) : 4);
		_exit(0);
	}
	(void)close(told[1]);
	n = read(told[0], text, sizeof(text) - 1);
	(void)close(told[0]);
	text[n > 0 ? n : 0] = '\0';
	cr_assert_eq(process_status(pid), 0);
	return text;
}

static void expect_told(const char *told, const char *text)
{
	cr_expect(strstr(told, text), "told: %s\nnot: %s", told, text);
}

static const struct {
	struct entry entries[4];
	const char *says;
} climbers[] = {
	{ { { ENTRY_FILE, "../out", "x" } }, "leads out" },
	{ { { ENTRY_FILE, "a/../../out", "x" } }, "leads out" },
	{ { { ENTRY_LINK, "up", ".." }, { ENTRY_FILE, "up/out", "x" } }, "leads out" },
	{ { { ENTRY_LINK, "up", "/../.." }, { ENTRY_DIR, "up/out", NULL } }, "leads out" },
	{ { { ENTRY_HARD, "mine", "../../../../etc/shadow" } }, "leads out" },
	{ { { ENTRY_HARD, "mine", "/etc/shadow" } }, "a link to it cannot be made" },
};

Test(daemon_code, code_that_climbs_out_is_refused)
{
	struct project s;

	project_begin(&s, "");
	for (size_t i = 0; i < sizeof(climbers) / sizeof(climbers[0]); i++) {
		struct bytes tar = tar_make(climbers[i].entries);
		char sha256[HASH_HEX_LEN];

		hash_sha256_hex(tar.data, tar.len, sha256);
		expect_told(send_code(&s, tar.data, tar.len, sha256), climbers[i].says);
		free(tar.data);
	}
	cr_expect_eq(project_codes(&s, DAEMON_USER), 0);
	project_end(&s);
}

/* Whoever receives it computes the hash. */
Test(daemon_code, code_of_another_hash_is_refused)
{
	static const struct entry plain[] = { { ENTRY_FILE, "app.py", "text" }, { 0 } };
	struct bytes tar = tar_make(plain);
	char sha256[HASH_HEX_LEN];
	struct project s;

	project_begin(&s, "");
	hash_sha256_hex("other", 5, sha256);
	expect_told(send_code(&s, tar.data, tar.len, sha256), "is not what was announced");
	expect_told(send_code(&s, tar.data, tar.len, "../images/x"), "without its hash");
	expect_told(send_code(&s, tar.data, tar.len, "mine"), "without its hash");
	/* Cut off. */
	hash_sha256_hex(tar.data, tar.len, sha256);
	expect_told(send_code(&s, tar.data, tar.len / 2, sha256), "is not what was announced");
	cr_expect_eq(project_codes(&s, DAEMON_USER), 0);
	expect_told(send_code(&s, tar.data, tar.len, sha256), "done");
	cr_expect_eq(project_codes(&s, DAEMON_USER), 1);
	/* It is no image. */
	OWN("image", "list");
	cr_expect(!strstr(s.run.out, sha256), "%s", s.run.out);
	daemon_expect_serves(&s.d);
	project_end(&s);
	free(tar.data);
}

/* Whatever is asked for by its hash must be there when it is deployed. */
Test(daemon_code, code_that_is_not_there_is_not_deployed)
{
	struct cloche_err err = { 0 };
	struct function_config c;
	json_t *list, *done = NULL;
	struct project s;

	project_begin(&s, "");
	function_config_defaults(&c, FAMILY_PROVIDED);
	(void)snprintf(c.name, sizeof(c.name), "f");
	(void)snprintf(c.runtime, sizeof(c.runtime), "provided");
	hash_sha256_hex("none", 4, c.code.sha256);
	list = json_pack("[o]", function_to_json(&c));
	cr_expect_eq(remote_deploy(s.d.control, list, &done, &err), -ESTALE, "%s", err.text);
	/* Nor what is none, or twice. */
	(void)json_array_append_new(list, function_to_json(&c));
	cr_expect_eq(remote_deploy(s.d.control, list, &done, &err), -EINVAL, "%s", err.text);
	(void)json_array_set_new(list, 1, json_pack("{s:s}", "name", "g"));
	cr_expect_eq(remote_deploy(s.d.control, list, &done, &err), -EBADMSG, "%s", err.text);
	c.timeout_ns = 0;
	(void)json_array_clear(list);
	cr_expect_eq(remote_deploy(s.d.control, list, &done, &err), -EBADMSG, "%s", err.text);
	(void)json_array_append_new(list, function_to_json(&c));
	cr_expect_eq(remote_deploy(s.d.control, list, &done, &err), -EINVAL, "%s", err.text);
	json_decref(list);
	daemon_expect_serves(&s.d);
	project_end(&s);
}

/* A DEPLOY of any bytes, with any descriptor. */
static char *send_deploy(const struct project *s, int fd, size_t len)
{
	static struct answer answer;
	struct request request = { .kind = REQUEST_DEPLOY, .order_len = (uint32_t)len };
	struct packet_fds fds = { .fd = { fd }, .n = fd >= 0 ? 1 : 0 };
	struct remote r = { .socket = -1 };
	struct cloche_err err = { 0 };

	cr_assert_eq(remote_open(s->d.control, &r, &err), 0, "%s", err.text);
	request_version(request.version);
	cr_assert_eq(packet_send(r.socket, &request, sizeof(request), &fds), 0);
	while (poll(&(struct pollfd){ .fd = r.socket, .events = POLLIN }, 1, -1) < 0)
		;
	cr_assert_eq(packet_recv(r.socket, &answer, sizeof(answer), &fds), sizeof(answer));
	cr_expect_eq(answer.kind, ANSWER_REFUSED);
	remote_close(&r);
	return answer.refused.text;
}

static int hold(const char *text)
{
	int fd = listing_hand(text, strlen(text));

	cr_assert_geq(fd, 0);
	return fd;
}

Test(daemon_code, what_is_no_function_is_refused)
{
	static const char *const texts[] = {
		"", "{}", "[]", "[1]", "[{}]", "[[", "null", "[{\"name\":\"f\",\"name\":\"f\"}]"
	};
	struct project s;
	int ends[2], fd;

	project_begin(&s, "");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		fd = hold(texts[i]);
		cr_expect_str_neq(send_deploy(&s, fd, strlen(texts[i])), "");
		(void)close(fd);
	}
	fd = hold("[]");
	/* More than there is; more than there may be; from what may be waited for; from nothing. */
	expect_told(send_deploy(&s, fd, 3), "read the functions");
	expect_told(send_deploy(&s, fd, 1 << 21), "what there is not");
	(void)close(fd);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	expect_told(send_deploy(&s, ends[0], 2), "read the functions");
	expect_told(send_deploy(&s, -1, 2), "read the functions");
	daemon_expect_serves(&s.d);
	project_end(&s);
}

/* ---- zips --------------------------------------------------------------------------------------
 */

static void make_zip(struct project *s, const char *script)
{
	char path[700];

	(void)snprintf(path, sizeof(path), "%s/code.zip", s->project);
	(void)unlink(path);
	RUN(&s->run, "python3", "-c", script, path);
	cr_assert_eq(s->run.status, 0, "%s", s->run.err);
}

#define ZIPPED \
	"functions:\n  z:\n    runtime: python3\n    code: code.zip\n    handler: app.handler\n"

static const char good_zip[] =
	"import sys, zipfile\n"
	"z = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)\n"
	"z.writestr('app.py', 'handler = None\\n')\n"
	"i = zipfile.ZipInfo('bin/tool'); i.create_system = 3; i.external_attr = 0o100755 << 16\n"
	"z.writestr(i, '#!/bin/sh\\n')\n"
	"z.close()\n";

static const char climbing_zip[] = "import sys, zipfile\n"
				   "z = zipfile.ZipFile(sys.argv[1], 'w')\n"
				   "z.writestr('../out', 'x')\n"
				   "z.close()\n";

static const char linking_zip[] =
	"import sys, zipfile\n"
	"z = zipfile.ZipFile(sys.argv[1], 'w')\n"
	"i = zipfile.ZipInfo('up'); i.create_system = 3; i.external_attr = 0o120777 << 16\n"
	"z.writestr(i, '..')\n"
	"z.writestr('up/out', 'x')\n"
	"z.close()\n";

static const char bomb[] = "import sys, zipfile\n"
			   "z = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)\n"
			   "z.writestr('zeros', b'\\0' * (5 << 20))\n"
			   "z.close()\n";

/* What it says of itself is a lie. */
static const char lying_bomb[] = "import sys, zipfile, struct\n"
				 "z = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)\n"
				 "z.writestr('zeros', b'\\0' * (5 << 20))\n"
				 "z.close()\n"
				 "b = open(sys.argv[1], 'rb').read()\n"
				 "b = b.replace(struct.pack('<I', 5 << 20), struct.pack('<I', 5))\n"
				 "open(sys.argv[1], 'wb').write(b)\n";

Test(daemon_code, zips_are_code)
{
	struct project s;

	project_begin(&s, "per_owner: {code_unpacked: 4M}");
	make_zip(&s, good_zip);
	project_deploy(&s, ZIPPED);
	project_expect(&s, "deployed z version 1 (new)");
	project_deploy(&s, ZIPPED);
	project_expect(&s, "z unchanged, version 1");
	make_zip(&s, climbing_zip);
	project_deploy(&s, ZIPPED);
	project_refused(&s, 1, "leads out");
	make_zip(&s, linking_zip);
	project_deploy(&s, ZIPPED);
	project_refused(&s, 1, "leads out");
	make_zip(&s, bomb);
	project_deploy(&s, ZIPPED);
	project_refused(&s, 1, "unpacked it is more than 4M");
	make_zip(&s, lying_bomb);
	project_deploy(&s, ZIPPED);
	cr_expect_eq(s.run.status, 1);
	project_put(&s, "code.zip", "PK no zip");
	project_deploy(&s, ZIPPED);
	project_refused(&s, 1, "neither a directory nor a zip");
	cr_expect_eq(project_codes(&s, DAEMON_USER), 1);
	OWN("show", "--json", "z");
	project_expect(&s, "\"current\":1");
	daemon_expect_serves(&s.d);
	project_end(&s);
}
