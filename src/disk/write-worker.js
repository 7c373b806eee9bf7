// @ts-check
// The other side of write-thread.ts: sleeps until it is told of a batch, writes all of it, and says so.
// Plain JavaScript without imports of ours: a thread that strips types first takes 25 MB more.
import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'

/** @typedef {import('./write-thread.ts').SharedMemory} SharedMemory */
/** @typedef {import('./write-thread.ts').SharedBatch} SharedBatch */

const { numbers, batches } = /** @type {SharedMemory} */ (workerData.memory)

/**
 * @param {number} file
 * @param {Uint8Array} bytes
 * @param {number} offset
 */
function writeAll(file, bytes, offset) {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, bytes.length - done, offset + done)
  }
}

/** @param {SharedBatch} batch */
function carryOut({ count, files, offsets, lengths, failures, bytes }) {
  let start = 0
  for (let index = 0; index < (count[0] ?? 0); index++) {
    const length = lengths[index] ?? 0
    try {
      writeAll(files[index] ?? -1, bytes.subarray(start, start + length), offsets[index] ?? 0)
      failures[index] = 0
    } catch (error) {
      failures[index] = /** @type {NodeJS.ErrnoException} */ (error).errno ?? -5
    }
    start += length
  }
}

for (let done = Number(workerData.done); ;) {
  Atomics.wait(numbers, 0, done)
  done = Atomics.load(numbers, 0)
  const batch = batches[done & 1]
  if (batch !== undefined) carryOut(batch)
  Atomics.store(numbers, 1, done)
  Atomics.notify(numbers, 1)
}
