# SPDX-License-Identifier: MIT
use v5.30;
use warnings;
use utf8;
use threads;
use Encode qw(decode);
use IO::Socket::IP;
use List::Util qw(sum);
use POSIX qw(strftime);
use Socket qw(inet_ntoa);
use Sys::Hostname;

my %checks = (
	hello => sub { 'hello' },
	threads => sub {
		my @all = map { threads->create(sub { sum(1 .. 1000) }) } 1 .. 4;
		sum(map { $_->join } @all);
	},
	children => sub {
		my $said = `echo child; exit 7`;
		chomp $said;
		"$said " . ($? >> 8);
	},
	files => sub {
		mkdir '/tmp/d' or die $!;
		open my $out, '>', '/tmp/d/a' or die $!;
		print {$out} "$_\n" for 1 .. 1000;
		close $out or die $!;
		rename '/tmp/d/a', '/tmp/d/b' or die $!;
		open my $in, '<', '/tmp/d/b' or die $!;
		my @lines = <$in>;
		opendir my $dir, '/tmp/d' or die $!;
		my @found = grep { !/^\./ } readdir $dir;
		unlink '/tmp/d/b' or die $!;
		rmdir '/tmp/d' or die $!;
		@lines . " @found";
	},
	server => sub {
		my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) or die $@;
		my $client = IO::Socket::IP->new(PeerHost => 'localhost', PeerPort => $listener->sockport) or die $@;
		my $peer = $listener->accept or die $!;
		print {$client} "ping\n";
		$client->flush;
		readline $peer;
		print {$peer} "pong\n";
		$peer->flush;
		my $said = readline $client;
		chomp $said;
		$said;
	},
	names => sub {
		my @me = getpwuid $<;
		my $address = gethostbyname(hostname) or die "no address";
		hostname . ' ' . inet_ntoa($address) . " $me[0] $ENV{HOME}";
	},
	zone => sub { strftime('%F %T', localtime 1_700_000_000) },
	text => sub {
		binmode $_, ':encoding(UTF-8)' for *STDIN, *STDOUT;
		my $line = <STDIN>;
		chomp $line;
		length(decode('UTF-8', $_[0])) . ' ' . length($line) . " $line";
	},
	memory => sub {
		my @held;
		push @held, "\1" x (1 << 20) while @held < $_[0];
		sum(map { ord } @held);
	},
);

my $check = shift;
say $checks{$check}->(@ARGV);
