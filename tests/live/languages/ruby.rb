# SPDX-License-Identifier: MIT
require 'etc'
require 'fileutils'
require 'open3'
require 'socket'

def threads
  4.times.map { Thread.new { (1..1000).sum } }.sum(&:value)
end

def children
  out, status = Open3.capture2('sh', '-c', 'echo child; exit 7')
  "#{out.strip} #{status.exitstatus}"
end

def files
  Dir.mkdir('/tmp/d')
  File.write('/tmp/d/a', (0...1000).map { |i| "#{i}\n" }.join)
  File.rename('/tmp/d/a', '/tmp/d/b')
  said = "#{File.readlines('/tmp/d/b').size} #{Dir.children('/tmp/d').join(' ')}"
  FileUtils.rm_r('/tmp/d')
  said
end

def server
  listener = TCPServer.new('127.0.0.1', 0)
  client = TCPSocket.new('localhost', listener.addr[1])
  peer = listener.accept
  client.write('ping')
  peer.read(4)
  peer.write('pong')
  client.read(4)
end

def names
  host = Socket.gethostname
  "#{host} #{Addrinfo.ip(host).ip_address} #{Etc.getpwuid.name} #{Dir.home}"
end

def zone
  Time.at(1_700_000_000).strftime('%F %T')
end

def text
  line = $stdin.gets.strip
  "#{ARGV[1].length} #{line.length} #{line}"
end

def memory
  held = []
  held << "\1" * (1 << 20) while held.size < ARGV[1].to_i
  held.sum { |block| block.getbyte(0) }
end

puts ARGV[0] == 'hello' ? 'hello' : send(ARGV[0])
