// SPDX-License-Identifier: MIT
import java.io.*;
import java.net.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.time.*;
import java.time.format.DateTimeFormatter;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

public class Language {
	static Object threads() throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(4);
		List<Future<Long>> all = new ArrayList<>();
		long sum = 0;

		for (int i = 0; i < 4; i++)
			all.add(pool.submit(() -> LongStream.rangeClosed(1, 1000).sum()));
		for (Future<Long> one : all)
			sum += one.get();
		pool.shutdown();
		return sum;
	}

	static Object children() throws Exception {
		Process child = new ProcessBuilder("sh", "-c", "echo child; exit 7").start();
		String out = new String(child.getInputStream().readAllBytes()).trim();

		return out + " " + child.waitFor();
	}

	static Object files() throws Exception {
		Path dir = Files.createDirectory(Path.of("/tmp/d")), b = dir.resolve("b");
		Path a = Files.write(dir.resolve("a"), IntStream.range(0, 1000).mapToObj(Integer::toString)
			.collect(Collectors.toList()));
		String said;

		Files.move(a, b);
		said = Files.readAllLines(b).size() + " " + String.join(" ", dir.toFile().list());
		Files.delete(b);
		Files.delete(dir);
		return said;
	}

	static Object server() throws Exception {
		try (ServerSocket listener = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"));
		     Socket client = new Socket("localhost", listener.getLocalPort());
		     Socket peer = listener.accept()) {
			client.getOutputStream().write("ping".getBytes());
			peer.getInputStream().readNBytes(4);
			peer.getOutputStream().write("pong".getBytes());
			return new String(client.getInputStream().readNBytes(4));
		}
	}

	static Object names() throws Exception {
		InetAddress host = InetAddress.getLocalHost();

		return host.getHostName() + " " + host.getHostAddress() + " " + System.getProperty("user.name") +
			" " + System.getProperty("user.home");
	}

	static Object zone() {
		return LocalDateTime.ofInstant(Instant.ofEpochSecond(1700000000), ZoneId.systemDefault())
			.format(DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss"));
	}

	static Object text(String argument) throws Exception {
		String line = new BufferedReader(new InputStreamReader(System.in)).readLine();

		return argument.codePointCount(0, argument.length()) + " " +
			line.codePointCount(0, line.length()) + " " + line;
	}

	static Object memory(int blocks) {
		List<byte[]> held = new ArrayList<>();
		int sum = 0;

		while (held.size() < blocks) {
			byte[] block = new byte[1 << 20];

			Arrays.fill(block, (byte)1);
			held.add(block);
		}
		for (byte[] block : held)
			sum += block[0];
		return sum;
	}

	static Object check(String[] args) throws Exception {
		switch (args[0]) {
		case "hello":
			return "hello";
		case "threads":
			return threads();
		case "children":
			return children();
		case "files":
			return files();
		case "server":
			return server();
		case "names":
			return names();
		case "zone":
			return zone();
		case "text":
			return text(args[1]);
		default:
			return memory(Integer.parseInt(args[1]));
		}
	}

	public static void main(String[] args) throws Exception {
		System.out.println(check(args));
	}
}
