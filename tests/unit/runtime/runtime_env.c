/* SPDX-License-Identifier: MIT */
/* The environment of a function's runtime: Lambda's, and what a function may change of it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "runtime/runtime_env.h"

static const char *value(char *const *env, const char *name)
{
	const char *found = NULL;
	size_t len = strlen(name);

	for (; *env; env++) {
		if (strncmp(*env, name, len) != 0 || (*env)[len] != '=')
			continue;
		cr_assert_null(found, "%s is there twice", name);
		found = *env + len + 1;
	}
	return found;
}

Test(runtime_env, lambdas)
{
	static const char *const want[][2] = {
		{ "_HANDLER", "app.handler" },
		{ "AWS_LAMBDA_FUNCTION_NAME", "f" },
		{ "AWS_LAMBDA_FUNCTION_VERSION", "$LATEST" },
		{ "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128" },
		{ "AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand" },
		{ "AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001" },
		{ "AWS_REGION", "local" },
		{ "AWS_DEFAULT_REGION", "local" },
		{ "LAMBDA_TASK_ROOT", "/var/task" },
		{ "LAMBDA_RUNTIME_DIR", "/var/runtime" },
		{ "TZ", ":UTC" },
		{ "PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin" },
	};
	const struct runtime_about about = { .function = "f",
					     .version = "$LATEST",
					     .handler = "app.handler",
					     .region = "local",
					     .api = "127.0.0.1:9001",
					     .memory_mb = 128 };
	cleanup_free char **env = NULL;

	cr_assert_eq(runtime_env_make(&about, &env, NULL), 0);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		cr_expect_str_eq(value(env, want[i][0]), want[i][1]);
	cr_assert_null(value(env, "AWS_EXECUTION_ENV"));
	cr_assert_null(value(env, "NODE_PATH"));
}

Test(runtime_env, a_functions_own)
{
	static const char *const own[] = { "A=1",   "A=2",  "TZ=Europe/Berlin",	      "EMPTY=",
					   "B=x=y", "none", "_HANDLER=other.handler", NULL };
	const struct runtime_about about = {
		.family = RUNTIME_NODEJS, .handler = "app.handler", .provisioned = true, .own = own
	};
	cleanup_free char **env = NULL;

	cr_assert_eq(runtime_env_make(&about, &env, NULL), 0);
	cr_assert_str_eq(value(env, "A"), "2");
	cr_assert_str_eq(value(env, "B"), "x=y");
	cr_assert_str_eq(value(env, "EMPTY"), "");
	cr_assert_str_eq(value(env, "TZ"), "Europe/Berlin");
	cr_assert_str_eq(value(env, "_HANDLER"), "app.handler");
	cr_assert_str_eq(value(env, "AWS_LAMBDA_INITIALIZATION_TYPE"), "provisioned-concurrency");
	cr_assert_not_null(value(env, "NODE_PATH"));
	for (char **v = env; *v; v++)
		cr_assert_not_null(strchr(*v, '='));
}

/* A name whose beginning is reserved is no reserved one. */
Test(runtime_env, reserved)
{
	cr_assert(runtime_env_reserved("_HANDLER"));
	cr_assert(runtime_env_reserved("AWS_REGION=x"));
	cr_assert_not(runtime_env_reserved("AWS_REGION_2=x"));
	cr_assert_not(runtime_env_reserved("AWS"));
	cr_assert_not(runtime_env_reserved("PATH"));
	/* What an unset one would be of is reserved all the same. */
	const char *const own[] = { "AWS_EXECUTION_ENV=x", NULL };
	const struct runtime_about about = { .own = own };
	cleanup_free char **env = NULL;

	cr_assert_eq(runtime_env_make(&about, &env, NULL), 0);
	cr_assert_null(value(env, "AWS_EXECUTION_ENV"));
	cr_assert_null(value(env, "_HANDLER"));
}

Test(runtime_env, where_a_bootstrap_is)
{
	cr_assert_str_eq(runtime_candidates(RUNTIME_PROVIDED)[0], "/var/task/bootstrap");
	cr_assert_str_eq(runtime_candidates(RUNTIME_PROVIDED)[2], "/var/runtime/bootstrap");
	cr_assert_null(runtime_candidates(RUNTIME_PROVIDED)[3]);
	cr_assert_str_eq(runtime_candidates(RUNTIME_PYTHON3)[0], "/var/runtime/python3");
	cr_assert_str_eq(runtime_candidates(RUNTIME_NODEJS)[0], "/var/runtime/nodejs");
}
