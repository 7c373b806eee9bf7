// @ts-check
// The other side of verifier.ts: decodes and hashes, one frame after the other, in memory that both
// sides see. It is told lengths and trusts none of the bytes. Plain JavaScript without imports of
// ours: a thread that strips types first takes 25 MB more, and an agent has 200 MB in all.
import { hash } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { constants, createZstdDecompress } from 'node:zlib'

/** @typedef {import('./verifier.ts').VerifyJob} VerifyJob */
/** @typedef {import('./verifier.ts').VerifyAnswer} VerifyAnswer */
/** @typedef {import('./verifier.ts').VerifyMessage} VerifyMessage */

// One decoder for all frames, writing where the plain bytes belong. zstdDecompressSync makes a decoder
// and a buffer a frame, all of it garbage at once: that cost three times as much as decoding. What is
// used of Node here is not documented; Node is pinned, and test/image/verifier.test.ts fails without it.
let { decoder, left } = newDecoder()
const nothing = new Uint8Array(0)
/** Takes what a frame holds beyond what it states. */
const beyond = new Uint8Array(64)

let failure = ''

function newDecoder() {
  const engine = /** @type {any} */ (createZstdDecompress({ params: workerData.params }))
  const { _handle, _writeState } = engine
  _handle.onerror = (/** @type {string} */ message) => {
    failure = message
  }
  return { decoder: _handle, left: _writeState }
}

/** @type {Map<number, SharedArrayBuffer>} */
const memories = new Map()

// This heap hardly grows, so that V8 would not collect it: memory that was given up would stay.
setFlagsFromString('--expose-gc')
/** @type {() => void} */
const collect = runInNewContext('gc')
const forgottenBytesMax = 16 * 1024 * 1024
let forgottenBytes = 0

/** @param {number} memory */
function forget(memory) {
  forgottenBytes += memories.get(memory)?.byteLength ?? 0
  memories.delete(memory)
  if (forgottenBytes < forgottenBytesMax) return
  forgottenBytes = 0
  collect()
}

/** @param {VerifyJob} job */
function decode({ memory, isPlain, frameLength, plainLength, plainOffset }) {
  const shared = memories.get(memory)
  if (shared === undefined) throw new Error('its memory is not known')
  const frame = new Uint8Array(shared, 0, frameLength)
  if (isPlain) return frame
  const plain = new Uint8Array(shared, plainOffset, plainLength)
  failure = ''
  decoder.reset()
  decoder.writeSync(constants.ZSTD_e_end, frame, 0, frameLength, plain, 0, plainLength)
  const [unfilled, unread] = left
  if (failure === '' && unfilled === 0) {
    decoder.writeSync(constants.ZSTD_e_flush, nothing, 0, 0, beyond, 0, beyond.length)
    if (unread > 0 || left[0] < beyond.length)
      failure = `it holds more than ${plainLength} plain bytes`
  }
  if (failure !== '') throw new Error(failure)
  if (unfilled > 0) throw new Error(`it holds ${plainLength - unfilled} plain bytes`)
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
    // What is left in a decoder that failed could spoil the next frame.
    ;({ decoder, left } = newDecoder())
    return { job: job.job, failure: error instanceof Error ? error.message : String(error) }
  }
}

parentPort?.on('message', (/** @type {VerifyMessage} */ message) => {
  if ('shared' in message) memories.set(message.memory, message.shared)
  else if ('forget' in message) forget(message.forget)
  else parentPort?.postMessage(answer(message))
})
