-- SPDX-License-Identifier: MIT
local posix = require("posix")
local socket = require("socket")
local checks = {}

function checks.hello()
	return "hello"
end

function checks.children()
	local child = assert(io.popen("echo child; exit 7"))
	local said = child:read("l")
	local _, _, status = child:close()
	return said .. " " .. status
end

function checks.files()
	assert(posix.mkdir("/tmp/d"))
	local out = assert(io.open("/tmp/d/a", "w"))
	for i = 1, 1000 do
		out:write(i, "\n")
	end
	assert(out:close())
	assert(os.rename("/tmp/d/a", "/tmp/d/b"))
	local lines, found = 0, {}
	for _ in io.lines("/tmp/d/b") do
		lines = lines + 1
	end
	for name in posix.files("/tmp/d") do
		if name:sub(1, 1) ~= "." then
			found[#found + 1] = name
		end
	end
	assert(os.remove("/tmp/d/b"))
	assert(posix.rmdir("/tmp/d"))
	return lines .. " " .. table.concat(found, " ")
end

function checks.server()
	local listener = assert(socket.bind("127.0.0.1", 0))
	local _, port = listener:getsockname()
	local client = assert(socket.connect("localhost", port))
	local peer = assert(listener:accept())
	client:send("ping\n")
	assert(peer:receive() == "ping")
	peer:send("pong\n")
	return (client:receive())
end

function checks.names()
	local host = socket.dns.gethostname()
	local me = posix.getpasswd(posix.getpid("uid"))
	return host .. " " .. assert(socket.dns.toip(host)) .. " " .. me.name .. " " .. os.getenv("HOME")
end

function checks.zone()
	return os.date("%Y-%m-%d %H:%M:%S", 1700000000)
end

function checks.text(argument)
	local line = io.read("l")
	return utf8.len(argument) .. " " .. utf8.len(line) .. " " .. line
end

function checks.memory(blocks)
	local held, sum = {}, 0
	while #held < tonumber(blocks) do
		held[#held + 1] = string.rep("\1", 1 << 20)
	end
	for _, block in ipairs(held) do
		sum = sum + block:byte()
	end
	return sum
end

print(checks[arg[1]](arg[2]))
