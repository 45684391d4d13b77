// SPDX-License-Identifier: MIT
// A C++ function as people write one with aws-lambda-cpp: what its event says it answers, or fails.
#include <aws/lambda-runtime/runtime.h>

#include <cstdlib>
#include <string>

using namespace aws::lambda_runtime;

static unsigned count;

// {"n": NUMBER, ...}; 0 where it is something else.
static size_t number(const std::string &payload)
{
	const std::string key = "{\"n\":";

	return payload.compare(0, key.size(), key) == 0
		       ? std::strtoul(payload.c_str() + key.size(), nullptr, 10)
		       : 0;
}

static invocation_response handle(const invocation_request &request)
{
	size_t n = number(request.payload);

	count++;
	if (request.payload == "\"fail\"")
		return invocation_response::failure("no \"such\" thing", "Cpp.Error", "");
	if (request.payload == "\"count\"")
		return invocation_response::success(
			std::to_string(count) + " " + request.request_id + " " +
				request.function_arn +
				(request.get_time_remaining().count() > 0 ? " in time" : " late"),
			"text/plain");
	if (n)
		return invocation_response::success('"' + std::string(n - 2, 'x') + '"',
						    "application/json");
	return invocation_response::success(request.payload, "application/json");
}

int main()
{
	run_handler(handle);
	return 0;
}
