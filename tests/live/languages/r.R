# SPDX-License-Identifier: MIT
args <- commandArgs(trailingOnly = TRUE)

checks <- list(
	hello = function() "hello",
	children = function() {
		forked <- parallel::mclapply(1:2, function(i) i, mc.cores = 2)
		stopifnot(identical(forked, list(1L, 2L)))
		said <- suppressWarnings(system("echo child; exit 7", intern = TRUE))
		paste(said, attr(said, "status"))
	},
	files = function() {
		dir.create("/tmp/d")
		writeLines(as.character(1:1000), "/tmp/d/a")
		file.rename("/tmp/d/a", "/tmp/d/b")
		said <- paste(length(readLines("/tmp/d/b")), list.files("/tmp/d"))
		unlink("/tmp/d", recursive = TRUE)
		said
	},
	server = function() {
		listener <- serverSocket(45678)
		client <- socketConnection("localhost", 45678, open = "r+")
		peer <- socketAccept(listener, open = "r+")
		writeLines("ping", client)
		stopifnot(readLines(peer, 1) == "ping")
		writeLines("pong", peer)
		readLines(client, 1)
	},
	names = function() {
		me <- Sys.info()
		paste(me[["nodename"]], utils::nsl(me[["nodename"]]), me[["user"]], path.expand("~"))
	},
	zone = function() format(as.POSIXct(1700000000, origin = "1970-01-01"), "%Y-%m-%d %H:%M:%S"),
	text = function() {
		line <- readLines("stdin", 1)
		paste(nchar(args[2]), nchar(line), line)
	},
	memory = function() {
		held <- list()
		while (length(held) < as.numeric(args[2]))
			held[[length(held) + 1]] <- rep(as.raw(1), 2^20)
		sum(vapply(held, function(block) as.numeric(block[1]), 0))
	}
)

cat(as.character(checks[[args[1]]]()), sep = "\n")
