// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;

static class Language
{
	static object Threads()
	{
		var sums = new long[4];
		var all = new List<Thread>();

		for (int i = 0; i < 4; i++) {
			int mine = i;
			all.Add(new Thread(() => sums[mine] = Enumerable.Range(1, 1000).Sum()));
		}
		all.ForEach(one => one.Start());
		all.ForEach(one => one.Join());
		return sums.Sum();
	}

	static object Children()
	{
		var how = new ProcessStartInfo("sh", "-c \"echo child; exit 7\"") {
			RedirectStandardOutput = true, UseShellExecute = false
		};

		using (var child = Process.Start(how)) {
			string said = child.StandardOutput.ReadToEnd().Trim();

			child.WaitForExit();
			return said + " " + child.ExitCode;
		}
	}

	static object Files()
	{
		Directory.CreateDirectory("/tmp/d");
		File.WriteAllLines("/tmp/d/a", Enumerable.Range(0, 1000).Select(i => i.ToString()));
		File.Move("/tmp/d/a", "/tmp/d/b");
		string said = File.ReadAllLines("/tmp/d/b").Length + " " +
			string.Join(" ", Directory.GetFiles("/tmp/d").Select(Path.GetFileName));
		Directory.Delete("/tmp/d", true);
		return said;
	}

	/* By address: see the table for its names. */
	static TcpClient Connect(int port)
	{
		var client = new TcpClient(AddressFamily.InterNetwork);

		client.Connect(IPAddress.Loopback, port);
		return client;
	}

	static object Server()
	{
		var listener = new TcpListener(IPAddress.Loopback, 0);
		var said = new byte[4];

		listener.Start();
		using (var client = Connect(((IPEndPoint)listener.LocalEndpoint).Port))
		using (var peer = listener.AcceptTcpClient()) {
			client.GetStream().Write(Encoding.ASCII.GetBytes("ping"), 0, 4);
			peer.GetStream().Read(said, 0, 4);
			peer.GetStream().Write(Encoding.ASCII.GetBytes("pong"), 0, 4);
			client.GetStream().Read(said, 0, 4);
		}
		return Encoding.ASCII.GetString(said);
	}

	static object Names()
	{
		string host = Dns.GetHostName();
		var address = Dns.GetHostAddresses(host).First(a => a.AddressFamily == AddressFamily.InterNetwork);

		return host + " " + address + " " + Environment.UserName + " " +
			Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
	}

	static object Zone()
	{
		var then = new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc).AddSeconds(1700000000);

		return then.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
	}

	static object Text(string argument)
	{
		string line = Console.In.ReadLine();

		return new StringInfo(argument).LengthInTextElements + " " +
			new StringInfo(line).LengthInTextElements + " " + line;
	}

	static object Memory(int blocks)
	{
		var held = new List<byte[]>();

		while (held.Count < blocks) {
			var block = new byte[1 << 20];

			for (int i = 0; i < block.Length; i++)
				block[i] = 1;
			held.Add(block);
		}
		return held.Sum(block => block[0]);
	}

	static object Check(string[] args)
	{
		switch (args[0]) {
		case "hello":
			return "hello";
		case "threads":
			return Threads();
		case "children":
			return Children();
		case "files":
			return Files();
		case "server":
			return Server();
		case "names":
			return Names();
		case "zone":
			return Zone();
		case "text":
			return Text(args[1]);
		default:
			return Memory(int.Parse(args[1]));
		}
	}

	static void Main(string[] args)
	{
		Console.WriteLine(Check(args));
	}
}
