# SPDX-License-Identifier: MIT
import datetime, os, pwd, socket, subprocess, sys, threading


def threads():
    sums = []
    all = [threading.Thread(target=lambda: sums.append(sum(range(1001)))) for _ in range(4)]
    for t in all:
        t.start()
    for t in all:
        t.join()
    return sum(sums)


def children():
    child = subprocess.run(["sh", "-c", "echo child; exit 7"], stdout=subprocess.PIPE, text=True)
    return f"{child.stdout.strip()} {child.returncode}"


def files():
    os.mkdir("/tmp/d")
    with open("/tmp/d/a", "w") as f:
        f.writelines(f"{i}\n" for i in range(1000))
    os.rename("/tmp/d/a", "/tmp/d/b")
    with open("/tmp/d/b") as f:
        lines = len(f.readlines())
    found = os.listdir("/tmp/d")
    os.remove("/tmp/d/b")
    os.rmdir("/tmp/d")
    return f"{lines} {' '.join(found)}"


def server():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(("localhost", listener.getsockname()[1]))
    peer, _ = listener.accept()
    client.sendall(b"ping")
    assert peer.recv(4) == b"ping"
    peer.sendall(b"pong")
    return client.recv(4).decode()


def names():
    host = socket.gethostname()
    user = pwd.getpwuid(os.getuid()).pw_name
    return f"{host} {socket.gethostbyname(host)} {user} {os.path.expanduser('~')}"


def zone():
    return datetime.datetime.fromtimestamp(1700000000)


def text():
    line = sys.stdin.readline().strip()
    return f"{len(sys.argv[2])} {len(line)} {line}"


def memory():
    held = []
    while len(held) < int(sys.argv[2]):
        held.append(b"\1" * (1 << 20))
    return sum(block[0] for block in held)


print("hello" if sys.argv[1] == "hello" else globals()[sys.argv[1]]())
