%% SPDX-License-Identifier: MIT
-mode(compile).

main([Check | Arguments]) ->
	io:setopts([{encoding, unicode}]),
	io:format("~ts~n", [check(Check, Arguments)]).

check("hello", []) ->
	"hello";
check("threads", []) ->
	Me = self(),
	[spawn_link(fun() -> Me ! {sum, lists:sum(lists:seq(1, 1000))} end) || _ <- lists:seq(1, 4)],
	integer_to_list(lists:sum([receive {sum, N} -> N end || _ <- lists:seq(1, 4)]));
check("children", []) ->
	Port = open_port({spawn, "sh -c 'echo child; exit 7'"}, [exit_status, {line, 80}]),
	receive {Port, {data, {eol, Said}}} -> ok end,
	receive {Port, {exit_status, Status}} -> ok end,
	io_lib:format("~s ~p", [Said, Status]);
check("files", []) ->
	ok = file:make_dir("/tmp/d"),
	ok = file:write_file("/tmp/d/a", [[integer_to_list(N), "\n"] || N <- lists:seq(1, 1000)]),
	ok = file:rename("/tmp/d/a", "/tmp/d/b"),
	{ok, Read} = file:read_file("/tmp/d/b"),
	{ok, Found} = file:list_dir("/tmp/d"),
	ok = file:delete("/tmp/d/b"),
	ok = file:del_dir("/tmp/d"),
	io_lib:format("~p ~s", [length(binary:matches(Read, <<"\n">>)), lists:join(" ", Found)]);
check("server", []) ->
	{ok, Listener} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, {active, false}]),
	{ok, Port} = inet:port(Listener),
	{ok, Client} = gen_tcp:connect("localhost", Port, [{active, false}]),
	{ok, Peer} = gen_tcp:accept(Listener),
	ok = gen_tcp:send(Client, "ping"),
	{ok, "ping"} = gen_tcp:recv(Peer, 4),
	ok = gen_tcp:send(Peer, "pong"),
	{ok, Said} = gen_tcp:recv(Client, 4),
	Said;
check("names", []) ->
	{ok, Host} = inet:gethostname(),
	{ok, Address} = inet:getaddr(Host, inet),
	%% Its library does not ask for the user's name.
	User = string:trim(os:cmd("id -un")),
	io_lib:format("~s ~s ~s ~s", [Host, inet:ntoa(Address), User, os:getenv("HOME")]);
check("zone", []) ->
	Then = calendar:system_time_to_universal_time(1700000000, second),
	{{Y, M, D}, {H, Min, S}} = calendar:universal_time_to_local_time(Then),
	io_lib:format("~4..0B-~2..0B-~2..0B ~2..0B:~2..0B:~2..0B", [Y, M, D, H, Min, S]);
check("text", [Argument]) ->
	Line = string:trim(io:get_line("")),
	io_lib:format("~p ~p ~ts", [string:length(Argument), string:length(Line), Line]);
check("memory", [Blocks]) ->
	Held = hold([], list_to_integer(Blocks)),
	integer_to_list(lists:sum([binary:first(Block) || Block <- Held])).

hold(Held, 0) -> Held;
hold(Held, N) -> hold([binary:copy(<<1>>, 1048576) | Held], N - 1).
