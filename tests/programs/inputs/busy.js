// Worker threads, timers, files read whole and as a stream, a watched folder.
const { Worker, isMainThread, parentPort } = require('worker_threads');
const fs = require('fs');
const crypto = require('crypto');

if (!isMainThread) {
  parentPort.once('message', (seed) => {
    let sum = seed;
    for (let i = 0; i < 5e6; i++) sum = (sum * 31 + i) % 1000003;
    parentPort.postMessage(sum);
  });
} else {
  main().then(() => console.log('the end'));
}

async function main() {
  const sums = await Promise.all([1, 2, 3, 4].map((seed) => new Promise((resolve, reject) => {
    const worker = new Worker(__filename);
    worker.on('message', resolve).on('error', reject);
    worker.postMessage(seed);
  })));
  console.log('workers', ...sums);

  const order = [];
  await Promise.all([30, 10, 20].map((ms) => new Promise((done) => setTimeout(() => { order.push(ms); done(); }, ms * 5))));
  console.log('timers', ...order);

  fs.writeFileSync('text', 'abc'.repeat(100000));
  const hash = crypto.createHash('sha256');
  let read = 0;
  for await (const part of fs.createReadStream('text')) { hash.update(part); read += part.length; }
  console.log('stream', read, hash.digest('hex'));
  await fs.promises.rename('text', 'renamed');
  console.log('stat', (await fs.promises.stat('renamed')).size, (await fs.promises.readdir('.')).includes('text'));

  fs.mkdirSync('watched');
  const seen = await new Promise((resolve) => {
    const watcher = fs.watch('watched', (kind, name) => { watcher.close(); resolve(`${kind} ${name}`); });
    setTimeout(() => fs.writeFileSync('watched/new', 'x'), 20);
  });
  console.log('watch', seen);
}
