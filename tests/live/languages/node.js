// SPDX-License-Identifier: MIT
const fs = require('fs'), net = require('net'), os = require('os'), dns = require('dns').promises;
const { spawn } = require('child_process');
const { Worker } = require('worker_threads');

const adds = `let sum = 0;
	for (let i = 1; i <= 1000; i++)
		sum += i;
	require('worker_threads').parentPort.postMessage(sum);`;

const checks = {
	async hello() {
		return 'hello';
	},
	async threads() {
		const all = [1, 2, 3, 4].map(() => new Promise((done, failed) => {
			new Worker(adds, { eval: true }).on('message', done).on('error', failed);
		}));
		return (await Promise.all(all)).reduce((a, b) => a + b);
	},
	children() {
		return new Promise((done, failed) => {
			const child = spawn('sh', ['-c', 'echo child; exit 7'], { stdio: ['ignore', 'pipe', 'inherit'] });
			let out = '';
			child.stdout.on('data', (data) => { out += data; });
			child.on('error', failed).on('close', (status) => done(`${out.trim()} ${status}`));
		});
	},
	async files() {
		fs.mkdirSync('/tmp/d');
		fs.writeFileSync('/tmp/d/a', Array.from({ length: 1000 }, (_, i) => `${i}\n`).join(''));
		await fs.promises.rename('/tmp/d/a', '/tmp/d/b');
		const lines = (await fs.promises.readFile('/tmp/d/b', 'utf8')).trim().split('\n').length;
		const found = fs.readdirSync('/tmp/d');
		fs.rmSync('/tmp/d', { recursive: true });
		return `${lines} ${found.join(' ')}`;
	},
	server() {
		return new Promise((done, failed) => {
			const server = net.createServer((peer) => peer.on('data', () => peer.end('pong')));
			server.listen(0, '127.0.0.1', () => {
				// Before Node 20 the first of localhost's addresses is the only one tried.
				const to = { host: 'localhost', port: server.address().port, family: 4 };
				const client = net.connect(to, () => client.write('ping'));
				client.on('error', failed).on('data', (data) => {
					server.close();
					client.end();
					done(data.toString());
				});
			});
		});
	},
	async names() {
		const { address } = await dns.lookup(os.hostname(), 4);
		return `${os.hostname()} ${address} ${os.userInfo().username} ${os.homedir()}`;
	},
	async zone() {
		return new Date(1700000000000).toLocaleString('sv-SE');
	},
	async text() {
		const line = fs.readFileSync(0, 'utf8').trim();
		return `${[...process.argv[3]].length} ${[...line].length} ${line}`;
	},
	async memory() {
		const held = [];
		while (held.length < Number(process.argv[3]))
			held.push(Buffer.alloc(1 << 20, 1));
		return held.reduce((sum, block) => sum + block[0], 0);
	},
};

checks[process.argv[2]]().then((said) => console.log(String(said)));
