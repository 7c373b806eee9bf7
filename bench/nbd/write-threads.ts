import { closeSync, openSync, rmSync, write as writeAsync, writeSync } from 'node:fs'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { percentile, rounded } from '../lab/statistics.ts'

// Who is to write 4 KiB to a file in the page cache, sixteen at once: the event loop, libuv's threads, or
// a thread of our own that is told of all writes of a turn at once. Microseconds a write, as time and as
// processor time; rounds take turns. docs/bench-nbd.md.

const blockBytes = 4096
const atOnce = 16
const blocks = 16_384
const writesARound = 20_000
const rounds = Number(process.argv[2] ?? 7)

const directory = mkdtempSync(join(tmpdir(), 'bootswarm-bench-write-'))
const file = openSync(join(directory, 'disk'), 'w+')
const memory = new SharedArrayBuffer(atOnce * blockBytes)
const slots = Array.from({ length: atOnce }, (_, n) =>
  Buffer.from(memory, n * blockBytes, blockBytes)
)
const offset = (): number => Math.floor(Math.random() * blocks) * blockBytes
const write = promisify(writeAsync)

/** Plain JavaScript: what it does is one system call a write. */
const source = `
const { parentPort, workerData: { file, memory } } = require('node:worker_threads')
const { writeSync } = require('node:fs')
const slots = Array.from({ length: ${atOnce} }, (_, n) => Buffer.from(memory, n * ${blockBytes}, ${blockBytes}))
parentPort.on('message', jobs => {
  for (const [slot, offset] of jobs) writeSync(file, slots[slot], 0, ${blockBytes}, offset)
  parentPort.postMessage(jobs.length)
})`

async function inLoop(): Promise<void> {
  for (let n = 0; n < writesARound; n += atOnce) {
    for (const slot of slots) writeSync(file, slot, 0, blockBytes, offset())
    await new Promise(setImmediate)
  }
}

async function byPool(): Promise<void> {
  const one = async (slot: Buffer): Promise<void> => {
    for (let n = 0; n < writesARound / atOnce; n += 1) {
      await write(file, slot, 0, blockBytes, offset())
    }
  }
  await Promise.all(slots.map(one))
}

const worker = new Worker(source, { eval: true, workerData: { file, memory } })

async function byWorker(): Promise<void> {
  for (let n = 0; n < writesARound; n += atOnce) {
    worker.postMessage(slots.map((_, slot) => [slot, offset()]))
    await new Promise(resolve => worker.once('message', resolve))
  }
}

const ways = { inLoop, byPool, byWorker }
const times = new Map<string, Record<'wall' | 'cpu', number[]>>(
  Object.keys(ways).map(name => [name, { wall: [], cpu: [] }])
)
for (let round = 0; round < rounds + 1; round += 1) {
  for (const [name, way] of Object.entries(ways)) {
    const [begin, before] = [performance.now(), process.cpuUsage()]
    await way()
    const { user, system } = process.cpuUsage(before)
    // The first round fills the file and the caches.
    if (round === 0) continue
    times.get(name)?.wall.push(((performance.now() - begin) / writesARound) * 1e3)
    times.get(name)?.cpu.push((user + system) / writesARound)
  }
}
for (const [name, { wall, cpu }] of times) {
  const [us, cpuUs] = [rounded(percentile(wall, 0.5), 1), rounded(percentile(cpu, 0.5), 1)]
  console.log(JSON.stringify({ way: name, us, cpuUs }))
}
await worker.terminate()
closeSync(file)
rmSync(directory, { recursive: true })
