/* SPDX-License-Identifier: MIT */
/*
 * teller [ARG...]: how it was started, a line each: its arguments, environment and working
 * directory. When the first argument is "read", the content of the files that the others name.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int read_files(char **paths)
{
	int status = 0;

	for (; *paths; paths++) {
		FILE *f = fopen(*paths, "re");
		char buf[4096];
		size_t n;

		if (!f) {
			printf("%s: %s\n", *paths, strerror(errno));
			status = 1;
			continue;
		}
		while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
			(void)fwrite(buf, 1, n, stdout);
		(void)fclose(f);
	}
	return status;
}

int main(int argc, char **argv)
{
	char dir[4096];

	if (argc > 2 && strcmp(argv[1], "read") == 0)
		return read_files(argv + 2);
	for (int i = 1; i < argc; i++)
		printf("arg %s\n", argv[i]);
	for (char **e = environ; *e; e++)
		printf("env %s\n", *e);
	printf("cwd %s\n", getcwd(dir, sizeof(dir)) ? dir : "?");
	return 0;
}
