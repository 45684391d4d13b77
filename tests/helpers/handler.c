/* SPDX-License-Identifier: MIT */
/* handler FILE: what a host could have in /proc/sys/kernel/core_pattern. Makes the file. */
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char buf[4096];
	int fd = argc > 1 ? open(argv[1], O_WRONLY | O_CREAT, 0600) : -1;

	while (read(STDIN_FILENO, buf, sizeof(buf)) > 0)
		;
	return fd < 0;
}
