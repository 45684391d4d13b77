/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <assert.h>
#include <dirent.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

static void *add(void *sum)
{
	for (long i = 1; i <= 1000; i++)
		*(long *)sum += i;
	return NULL;
}

static void threads(void)
{
	pthread_t all[4];
	long sums[4] = { 0 };

	for (int i = 0; i < 4; i++)
		assert(pthread_create(&all[i], NULL, add, &sums[i]) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(all[i], NULL);
	printf("%ld\n", sums[0] + sums[1] + sums[2] + sums[3]);
}

static void children(void)
{
	FILE *child = popen("echo child; exit 7", "r");
	char said[16] = "";

	assert(child && fscanf(child, "%15s", said) == 1);
	printf("%s %d\n", said, WEXITSTATUS(pclose(child)));
}

static void files(void)
{
	int lines = 0;
	DIR *dir;
	FILE *f;

	assert(mkdir("/tmp/d", 0755) == 0 && (f = fopen("/tmp/d/a", "w")));
	for (int i = 0; i < 1000; i++)
		fprintf(f, "%d\n", i);
	assert(fclose(f) == 0 && rename("/tmp/d/a", "/tmp/d/b") == 0);
	f = fopen("/tmp/d/b", "r");
	for (int c; (c = getc(f)) != EOF;)
		lines += c == '\n';
	printf("%d", lines);
	dir = opendir("/tmp/d");
	for (struct dirent *found; (found = readdir(dir));)
		if (found->d_name[0] != '.')
			printf(" %s", found->d_name);
	assert(unlink("/tmp/d/b") == 0 && rmdir("/tmp/d") == 0);
	puts("");
}

static void server(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct addrinfo want = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *to;
	int listener = socket(AF_INET, SOCK_STREAM, 0), client, peer;
	socklen_t len = sizeof(here);
	char port[8], said[5] = "";

	assert(bind(listener, (void *)&here, len) == 0 && listen(listener, 1) == 0);
	assert(getsockname(listener, (void *)&here, &len) == 0);
	snprintf(port, sizeof(port), "%d", ntohs(here.sin_port));
	assert(getaddrinfo("localhost", port, &want, &to) == 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert(connect(client, to->ai_addr, to->ai_addrlen) == 0);
	peer = accept(listener, NULL, NULL);
	assert(send(client, "ping", 4, 0) == 4 && recv(peer, said, 4, MSG_WAITALL) == 4);
	assert(send(peer, "pong", 4, 0) == 4 && recv(client, said, 4, MSG_WAITALL) == 4);
	puts(said);
}

static void names(void)
{
	struct addrinfo want = { .ai_family = AF_INET }, *found;
	char host[65], address[16];

	assert(gethostname(host, sizeof(host)) == 0 && getaddrinfo(host, NULL, &want, &found) == 0);
	inet_ntop(AF_INET, &((struct sockaddr_in *)found->ai_addr)->sin_addr, address, sizeof(address));
	printf("%s %s %s %s\n", host, address, getpwuid(getuid())->pw_name, getpwuid(getuid())->pw_dir);
}

static void zone(void)
{
	time_t then = 1700000000;
	char said[32];

	strftime(said, sizeof(said), "%F %T", localtime(&then));
	puts(said);
}

static void text(const char *argument)
{
	char line[64];

	setlocale(LC_ALL, "");
	assert(fgets(line, sizeof(line), stdin));
	line[strcspn(line, "\n")] = '\0';
	printf("%zu %zu %s\n", mbstowcs(NULL, argument, 0), mbstowcs(NULL, line, 0), line);
}

static void memory(long blocks)
{
	struct block {
		struct block *next;
		char bytes[(1 << 20) - sizeof(void *)];
	} *held = NULL, *block;
	long sum = 0;

	for (long i = 0; i < blocks; i++, held = block) {
		block = malloc(sizeof(*block));
		assert(block);
		memset(block->bytes, 1, sizeof(block->bytes));
		block->next = held;
	}
	for (block = held; block; block = block->next)
		sum += block->bytes[1000];
	printf("%ld\n", sum);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} checks[] = { { "threads", threads }, { "children", children }, { "files", files },
		       { "server", server },   { "names", names },	 { "zone", zone } };

	assert(argc > 1);
	if (strcmp(argv[1], "hello") == 0)
		puts("hello");
	if (strcmp(argv[1], "text") == 0)
		text(argv[2]);
	if (strcmp(argv[1], "memory") == 0)
		memory(atol(argv[2]));
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (strcmp(argv[1], checks[i].name) == 0)
			checks[i].run();
	return 0;
}
