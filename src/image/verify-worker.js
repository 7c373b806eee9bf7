// @ts-check
// The other side of verifier.ts: decodes and hashes, one frame after the other, in memory that both
// sides see. It is told lengths and trusts none of the bytes. Plain JavaScript without imports of
// ours: a thread that strips types first takes 25 MB more, and an agent has 200 MB in all.
import { hash } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort } from 'node:worker_threads'
import { zstdDecompressSync } from 'node:zlib'

/** @typedef {import('./verifier.ts').VerifyJob} VerifyJob */
/** @typedef {import('./verifier.ts').VerifyAnswer} VerifyAnswer */

setFlagsFromString('--expose-gc')
/** @type {() => void} */
const collect = runInNewContext('gc')

// Every decoded frame leaves a decoder and a buffer outside V8's heap and next to nothing inside it, so
// that V8 lets a hundred of them pile up: 50 MB. Collecting this small heap takes a few milliseconds.
const garbageBytesMax = 8 * 1024 * 1024
let garbageBytes = 0

/** @param {VerifyJob} job */
function decode({ memory, encoding, frameLength, plainLength, plainOffset, decoding }) {
  const frame = Buffer.from(memory, 0, frameLength)
  if (encoding === 'plain') return frame
  const decoded = zstdDecompressSync(frame, decoding)
  if (decoded.length !== plainLength) throw new Error(`it holds ${decoded.length} plain bytes`)
  const plain = Buffer.from(memory, plainOffset, plainLength)
  plain.set(decoded)
  return plain
}

/**
 * @param {VerifyJob} job
 * @returns {VerifyAnswer}
 */
function answer(job) {
  try {
    return { job: job.job, id: hash('sha256', decode(job), 'hex') }
  } catch (error) {
    return { job: job.job, failure: error instanceof Error ? error.message : String(error) }
  }
}

parentPort?.on('message', (/** @type {VerifyJob} */ job) => {
  parentPort?.postMessage(answer(job))
  garbageBytes += job.plainLength
  if (garbageBytes < garbageBytesMax) return
  garbageBytes = 0
  collect()
})
