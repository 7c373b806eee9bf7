import { closeSync, openSync, rmSync, write as writeAsync, writeSync } from 'node:fs'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { WriteThread } from '../../src/disk/write-thread.ts'
import { percentile, rounded } from '../lab/statistics.ts'

// Who is to write 4 KiB to a file in the page cache, one, four and sixteen at once: the event loop, libuv's
// threads, or our own. Microseconds a write, as time and as processor time; rounds take turns.
// docs/bench-nbd.md.

const blockBytes = 4096
const blocks = 16_384
const writesARound = 20_000
const rounds = Number(process.argv[2] ?? 5)

const directory = mkdtempSync(join(tmpdir(), 'bootswarm-bench-write-'))
const file = openSync(join(directory, 'disk'), 'w+')
const block = Buffer.alloc(blockBytes, 7)
const offset = (): number => Math.floor(Math.random() * blocks) * blockBytes
const write = promisify(writeAsync)
const thread = new WriteThread()

async function inLoop(atOnce: number): Promise<void> {
  for (let count = 0; count < atOnce; count++) writeSync(file, block, 0, blockBytes, offset())
  await new Promise(setImmediate)
}

async function byPool(atOnce: number): Promise<void> {
  const one = () => write(file, block, 0, blockBytes, offset())
  await Promise.all(Array.from({ length: atOnce }, one))
}

async function byThread(atOnce: number): Promise<void> {
  const one = () =>
    new Promise<void>(resolve => thread.write(file, offset(), block, () => resolve()))
  await Promise.all(Array.from({ length: atOnce }, one))
}

for (let at = 0; at < blocks; at++) writeSync(file, block, 0, blockBytes, at * blockBytes)
const ways = { inLoop, byPool, byThread }
for (const atOnce of [1, 4, 16]) {
  const times = new Map<string, Record<'wall' | 'cpu', number[]>>(
    Object.keys(ways).map(name => [name, { wall: [], cpu: [] }])
  )
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, way] of Object.entries(ways)) {
      const [begin, before] = [performance.now(), process.cpuUsage()]
      for (let count = 0; count < writesARound; count += atOnce) await way(atOnce)
      const { user, system } = process.cpuUsage(before)
      times.get(name)?.wall.push(((performance.now() - begin) / writesARound) * 1e3)
      times.get(name)?.cpu.push((user + system) / writesARound)
    }
  }
  for (const [name, { wall, cpu }] of times) {
    const [us, cpuUs] = [rounded(percentile(wall, 0.5), 1), rounded(percentile(cpu, 0.5), 1)]
    console.log(JSON.stringify({ atOnce, way: name, us, cpuUs }))
  }
}
closeSync(file)
rmSync(directory, { recursive: true })
