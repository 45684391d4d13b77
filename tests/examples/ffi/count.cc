// SPDX-License-Identifier: MIT
// A native function: how often each word is in its event.
#include <cloche_handler.h>

#include <map>
#include <sstream>
#include <string>

static int count(const cloche_event *event, cloche_response *response)
{
	static std::string answer; // borrowed until the next event
	std::istringstream words(std::string(static_cast<const char *>(event->data), event->len));
	std::map<std::string, unsigned> seen;
	std::ostringstream out;

	for (std::string word; words >> word;) {
		if (word.find_first_of("\"\\") != std::string::npos)
			return cloche_fail(response, "std::invalid_argument", "a word has a quote");
		seen[word]++;
	}
	for (const auto &s : seen)
		out << (out.tellp() ? "," : "{") << '"' << s.first << "\":" << s.second;
	answer = out.str() + (seen.empty() ? "{}" : "}");
	return cloche_respond(response, answer.data(), answer.size());
}

int main()
{
	return cloche_serve(count);
}
