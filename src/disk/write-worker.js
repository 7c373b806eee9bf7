// @ts-check
// The other side of write-thread.ts: does what lies in the ring, and sleeps when nothing does.
// Plain JavaScript without imports of ours: a thread that strips types first takes 25 MB more.
import { fdatasyncSync, writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'

/** @typedef {import('./write-thread.ts').WriteRing} WriteRing */

const { counts, files, offsets, lengths, failures, bytes } = /** @type {WriteRing} */ (
  workerData.ring
)
const slots = files.length
const slotBytes = bytes.length / slots
/** Whoever waits for the first of many need not wait for all of them: while it answers, the rest is written. */
const toldEvery = 4

/** @param {number} slot */
function carryOut(slot) {
  const length = lengths[slot] ?? 0
  const file = files[slot] ?? -1
  const offset = offsets[slot] ?? 0
  try {
    if (length < 0) fdatasyncSync(file)
    else write(file, bytes.subarray(slot * slotBytes, slot * slotBytes + length), offset)
    return 0
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).errno ?? -5
  }
}

/**
 * @param {number} file
 * @param {Uint8Array} data
 * @param {number} offset
 */
function write(file, data, offset) {
  for (let done = 0; done < data.length;) {
    done += writeSync(file, data, done, data.length - done, offset + done)
  }
}

for (let done = Number(workerData.done); ;) {
  if (Atomics.load(counts, 0) === done) {
    Atomics.wait(counts, 0, done)
    continue
  }
  const slot = (done >>> 0) % slots
  failures[slot] = carryOut(slot)
  done = (done + 1) | 0
  Atomics.store(counts, 1, done)
  const awaited = (Atomics.load(counts, 2) - done) | 0
  if (awaited === 0 || (awaited > 0 && done % toldEvery === 0)) Atomics.notify(counts, 1)
}
