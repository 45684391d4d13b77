// SPDX-License-Identifier: MIT
package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func ok(err error) {
	if err != nil {
		panic(err)
	}
}

func threads() any {
	var all sync.WaitGroup
	var lock sync.Mutex
	sum := 0
	for i := 0; i < 4; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := 1; j <= 1000; j++ {
				lock.Lock()
				sum += j
				lock.Unlock()
			}
		}()
	}
	all.Wait()
	return sum
}

func children() any {
	var ended *exec.ExitError
	out, err := exec.Command("sh", "-c", "echo child; exit 7").Output()
	if !errors.As(err, &ended) {
		return err
	}
	return fmt.Sprint(strings.TrimSpace(string(out)), " ", ended.ExitCode())
}

func files() any {
	ok(os.Mkdir("/tmp/d", 0o755))
	f := must(os.Create("/tmp/d/a"))
	for i := 0; i < 1000; i++ {
		must(fmt.Fprintln(f, i))
	}
	ok(f.Close())
	ok(os.Rename("/tmp/d/a", "/tmp/d/b"))
	lines := strings.Count(string(must(os.ReadFile("/tmp/d/b"))), "\n")
	found := must(os.ReadDir("/tmp/d"))
	ok(os.RemoveAll("/tmp/d"))
	return fmt.Sprint(lines, " ", found[0].Name())
}

func server() any {
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	go func() {
		peer := must(listener.Accept())
		must(peer.Read(make([]byte, 4)))
		must(peer.Write([]byte("pong")))
	}()
	client := must(net.Dial("tcp", fmt.Sprint("localhost:", listener.Addr().(*net.TCPAddr).Port)))
	must(client.Write([]byte("ping")))
	answer := make([]byte, 4)
	must(client.Read(answer))
	return string(answer)
}

func names() any {
	host := must(os.Hostname())
	me := must(user.Current())
	return fmt.Sprint(host, " ", must(net.LookupHost(host))[0], " ", me.Username, " ", me.HomeDir)
}

func text() any {
	line := strings.TrimSpace(must(bufio.NewReader(os.Stdin).ReadString('\n')))
	return fmt.Sprint(utf8.RuneCountInString(os.Args[2]), " ", utf8.RuneCountInString(line), " ", line)
}

func memory() any {
	var held [][]byte
	sum := 0
	for blocks := must(strconv.Atoi(os.Args[2])); len(held) < blocks; {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = 1
		}
		held = append(held, block)
	}
	for _, block := range held {
		sum += int(block[0])
	}
	return sum
}

func main() {
	checks := map[string]func() any{
		"hello": func() any { return "hello" }, "threads": threads, "children": children,
		"files": files, "server": server, "names": names, "text": text, "memory": memory,
		"zone": func() any { return time.Unix(1700000000, 0).Format("2006-01-02 15:04:05") },
	}
	fmt.Println(checks[os.Args[1]]())
}
