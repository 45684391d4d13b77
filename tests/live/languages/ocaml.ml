(* SPDX-License-Identifier: MIT *)
let threads () =
  let lock = Mutex.create () and sum = ref 0 in
  let add () =
    for i = 1 to 1000 do
      Mutex.lock lock;
      sum := !sum + i;
      Mutex.unlock lock
    done
  in
  List.iter Thread.join (List.init 4 (fun _ -> Thread.create add ()));
  string_of_int !sum

let children () =
  let child = Unix.open_process_in "echo child; exit 7" in
  let said = input_line child in
  match Unix.close_process_in child with
  | Unix.WEXITED status -> Printf.sprintf "%s %d" said status
  | _ -> "killed"

let lines name =
  let f = open_in name in
  let rec count n = match input_line f with _ -> count (n + 1) | exception End_of_file -> n in
  let n = count 0 in
  close_in f;
  n

let files () =
  Unix.mkdir "/tmp/d" 0o755;
  let out = open_out "/tmp/d/a" in
  for i = 1 to 1000 do
    Printf.fprintf out "%d\n" i
  done;
  close_out out;
  Sys.rename "/tmp/d/a" "/tmp/d/b";
  let said = Printf.sprintf "%d %s" (lines "/tmp/d/b") (Sys.readdir "/tmp/d").(0) in
  Sys.remove "/tmp/d/b";
  Unix.rmdir "/tmp/d";
  said

let resolve name = (Unix.gethostbyname name).h_addr_list.(0)

let say fd text = assert (Unix.write_substring fd text 0 4 = 4)

let hear fd =
  let said = Bytes.create 4 in
  assert (Unix.read fd said 0 4 = 4);
  Bytes.to_string said

let server () =
  let listener = Unix.socket PF_INET SOCK_STREAM 0 and client = Unix.socket PF_INET SOCK_STREAM 0 in
  Unix.bind listener (ADDR_INET (Unix.inet_addr_loopback, 0));
  Unix.listen listener 1;
  (match Unix.getsockname listener with
  | ADDR_INET (_, port) -> Unix.connect client (ADDR_INET (resolve "localhost", port))
  | _ -> assert false);
  let peer, _ = Unix.accept listener in
  say client "ping";
  assert (hear peer = "ping");
  say peer "pong";
  hear client

let names () =
  let host = Unix.gethostname () in
  Printf.sprintf "%s %s %s %s" host
    (Unix.string_of_inet_addr (resolve host))
    (Unix.getpwuid (Unix.getuid ())).pw_name (Sys.getenv "HOME")

let zone () =
  let t = Unix.localtime 1700000000. in
  Printf.sprintf "%04d-%02d-%02d %02d:%02d:%02d" (t.tm_year + 1900) (t.tm_mon + 1) t.tm_mday t.tm_hour
    t.tm_min t.tm_sec

(* Strings are bytes: a character begins with one that is no continuation. *)
let length text =
  Seq.fold_left (fun n c -> if Char.code c land 0xc0 = 0x80 then n else n + 1) 0 (String.to_seq text)

let text () =
  let line = input_line stdin in
  Printf.sprintf "%d %d %s" (length Sys.argv.(2)) (length line) line

let memory () =
  let rec hold held n = if n = 0 then held else hold (Bytes.make (1 lsl 20) '\001' :: held) (n - 1) in
  string_of_int (List.fold_left (fun sum b -> sum + Char.code (Bytes.get b 0)) 0 (hold [] (int_of_string Sys.argv.(2))))

let () =
  print_endline
    (match Sys.argv.(1) with
    | "threads" -> threads ()
    | "children" -> children ()
    | "files" -> files ()
    | "server" -> server ()
    | "names" -> names ()
    | "zone" -> zone ()
    | "text" -> text ()
    | "memory" -> memory ()
    | _ -> "hello")
