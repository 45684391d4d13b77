/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_ETC_LIST_H
#define CLOCHE_LAUNCH_ETC_LIST_H

/*
 * What of the host's /etc, /var/lib and /var/cache belongs to its /usr: the configuration that
 * packages keep there for their programs, and into which /usr points by links and by name. A
 * function whose root is the host's /usr sees these, read-only, as far as everybody on the host may
 * read them; what is not there is left out. `--etc NAME` adds to them for one run.
 *
 * To be on the list, a name must be of a package that functions run or link against. Not on it:
 * what holds passwords or keys where administrators put them (web servers, mail, ssl/private, ssh),
 * who is on this host (passwd, group), what it is called and connected to (hosts, fstab,
 * machine-id) and what its services and logins need. A '*' in the last part of a name stands for
 * any letters.
 */

/* Files, copied: a bind for each would cost every launch. */
static const char *const etc_files[] = {
	/* the C library and the linker */
	"/etc/ld.so.cache",
	"/etc/ld.so.conf",
	"/etc/localtime",
	"/etc/timezone",
	"/etc/locale.alias",
	"/etc/protocols",
	"/etc/services",
	"/etc/rpc",
	"/etc/gai.conf",
	"/etc/host.conf",
	/* which system it is */
	"/etc/os-release",
	"/etc/debian_version",
	/* libraries and runtimes */
	"/etc/mime.types",
	"/etc/magic",
	"/etc/papersize",
	"/etc/inputrc",
	"/etc/ssl/openssl.cnf",
	"/etc/matplotlibrc",
	"/etc/fpc.cfg",
	"/etc/octave.conf",
};

/* Directories, bound: what changes in them on the host changes inside. */
static const char *const etc_dirs[] = {
	/* what programs and libraries are called */
	"/etc/alternatives",
	"/etc/ld.so.conf.d",
	/* certificates that everybody may know */
	"/etc/ssl/certs",
	"/etc/ca-certificates",
	/* languages */
	"/etc/perl",
	"/etc/python3",
	"/etc/python3.*",
	"/etc/nodejs",
	"/etc/php",
	"/etc/R",
	"/etc/java",
	"/etc/java-*-openjdk",
	"/etc/maven",
	"/etc/ant",
	"/etc/gradle",
	"/etc/groovy",
	"/etc/scala",
	"/etc/mono",
	"/etc/dotnet",
	"/etc/julia",
	"/etc/octave*.d",
	"/etc/erlang",
	"/etc/guile-*",
	"/etc/racket",
	"/etc/swi-prolog",
	"/etc/gnucobol",
	"/etc/lua*",
	"/etc/ghc",
	/* documents, fonts, pictures, terminals */
	"/etc/texmf",
	"/etc/xml",
	"/etc/sgml",
	"/etc/fonts",
	"/etc/ImageMagick-*",
	"/etc/libreoffice",
	"/etc/OpenCL",
	"/etc/terminfo",
	/* what packages make when they are installed */
	"/var/lib/texmf",
	"/var/lib/ghostscript",
	"/var/lib/ghc",
	"/var/lib/xml-core",
	"/var/lib/sgml-base",
	"/var/lib/mecab",
	"/var/lib/aspell",
	"/var/lib/dictionaries-common",
	"/var/cache/fontconfig",
};

/* The folders of all these names: one that changed may have one more, or another one, of them. */
static const char *const etc_folders[] = { "/etc", "/etc/ssl", "/var/lib", "/var/cache" };

#define ETC_N(list) (sizeof(list) / sizeof((list)[0]))

#endif
