// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <future>
#include <iomanip>
#include <iostream>
#include <locale>
#include <map>
#include <memory>
#include <netdb.h>
#include <pwd.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

static void need(bool well, const char *what)
{
	if (!well)
		throw std::runtime_error(what);
}

static void threads()
{
	std::vector<std::future<long>> all;
	long sum = 0;

	for (int i = 0; i < 4; i++)
		all.push_back(std::async(std::launch::async, [] {
			long one = 0;
			for (int j = 1; j <= 1000; j++)
				one += j;
			return one;
		}));
	for (auto &one : all)
		sum += one.get();
	std::cout << sum << '\n';
}

static void children()
{
	FILE *child = popen("echo child; exit 7", "r");
	char said[16] = "";

	need(child && fscanf(child, "%15s", said) == 1, "popen");
	std::cout << said << ' ' << WEXITSTATUS(pclose(child)) << '\n';
}

static void files()
{
	namespace fs = std::filesystem;
	std::string line;
	int lines = 0;

	fs::create_directory("/tmp/d");
	{
		std::ofstream out("/tmp/d/a");
		for (int i = 0; i < 1000; i++)
			out << i << '\n';
	}
	fs::rename("/tmp/d/a", "/tmp/d/b");
	for (std::ifstream in("/tmp/d/b"); std::getline(in, line);)
		lines++;
	std::cout << lines;
	for (const auto &found : fs::directory_iterator("/tmp/d"))
		std::cout << ' ' << found.path().filename().string();
	fs::remove_all("/tmp/d");
	std::cout << '\n';
}

static void server()
{
	sockaddr_in here = {};
	socklen_t len = sizeof(here);
	addrinfo want = {}, *to;
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), peer;
	char said[5] = "";

	here.sin_family = want.ai_family = AF_INET;
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need(bind(listener, reinterpret_cast<sockaddr *>(&here), len) == 0, "bind");
	need(listen(listener, 1) == 0, "listen");
	getsockname(listener, reinterpret_cast<sockaddr *>(&here), &len);
	need(getaddrinfo("localhost", std::to_string(ntohs(here.sin_port)).c_str(), &want, &to) == 0, "localhost");
	need(connect(client, to->ai_addr, to->ai_addrlen) == 0, "connect");
	peer = accept(listener, nullptr, nullptr);
	need(send(client, "ping", 4, 0) == 4 && recv(peer, said, 4, MSG_WAITALL) == 4, "ping");
	need(send(peer, "pong", 4, 0) == 4 && recv(client, said, 4, MSG_WAITALL) == 4, "pong");
	std::cout << said << '\n';
}

static void names()
{
	addrinfo want = {}, *found;
	char host[65], address[16];

	want.ai_family = AF_INET;
	need(gethostname(host, sizeof(host)) == 0 && getaddrinfo(host, nullptr, &want, &found) == 0, "host");
	inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in *>(found->ai_addr)->sin_addr, address, sizeof(address));
	std::cout << host << ' ' << address << ' ' << getpwuid(getuid())->pw_name << ' ' << getenv("HOME") << '\n';
}

static void zone()
{
	std::time_t then = std::chrono::system_clock::to_time_t(
		std::chrono::system_clock::time_point(std::chrono::seconds(1700000000)));

	std::cout << std::put_time(std::localtime(&then), "%F %T") << '\n';
}

static void text(const std::string &argument)
{
	std::string line;

	std::locale::global(std::locale(""));
	std::getline(std::cin, line);
	std::cout << mbstowcs(nullptr, argument.c_str(), 0) << ' ' << mbstowcs(nullptr, line.c_str(), 0) << ' '
		  << line << '\n';
}

static void memory(long blocks)
{
	std::vector<std::unique_ptr<std::vector<char>>> held;
	long sum = 0;

	for (long i = 0; i < blocks; i++)
		held.push_back(std::make_unique<std::vector<char>>(1 << 20, 1));
	for (const auto &block : held)
		sum += block->front();
	std::cout << sum << '\n';
}

int main(int argc, char **argv)
{
	const std::string check = argc > 1 ? argv[1] : "", argument = argc > 2 ? argv[2] : "";
	const std::map<std::string, void (*)()> checks = {
		{ "hello", [] { std::cout << "hello\n"; } }, { "threads", threads }, { "children", children },
		{ "files", files }, { "server", server }, { "names", names }, { "zone", zone },
	};

	if (check == "text")
		text(argument);
	else if (check == "memory")
		memory(std::stol(argument));
	else
		checks.at(check)();
}
