// @ts-check
// The other side of frame-encoder.ts: compresses, one chunk after the other, in memory that both sides
// see. Plain JavaScript without imports of ours, for the reason that verify-worker.js has.
import { parentPort } from 'node:worker_threads'
import { constants, createZstdCompress } from 'node:zlib'

/** @typedef {import('./frame-encoder.ts').EncodeJob} EncodeJob */
/** @typedef {import('./frame-encoder.ts').EncodeAnswer} EncodeAnswer */
/** @typedef {import('./frame-encoder.ts').EncodeMessage} EncodeMessage */

// As in verify-worker.js, what is used of Node here is not documented; Node is pinned, and
// test/image/frame-encoder.test.ts fails without it.
let { encoder, left } = newEncoder()
let failure = ''

function newEncoder() {
  const engine = /** @type {any} */ (
    createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } })
  )
  const { _handle, _writeState } = engine
  _handle.onerror = (/** @type {string} */ message) => {
    failure = message
  }
  return { encoder: _handle, left: _writeState }
}

/** @type {Map<number, SharedArrayBuffer>} */
const memories = new Map()

/**
 * @param {EncodeJob} job
 * @returns {EncodeAnswer}
 */
function answer({ job, slot, plainLength, frameLengthMax }) {
  const shared = memories.get(slot)
  if (shared === undefined) return { job, frameLength: 0, failure: 'its memory is not known' }
  const plain = new Uint8Array(shared, 0, plainLength)
  const frame = new Uint8Array(shared, shared.byteLength / 2)
  failure = ''
  // After a whole frame it begins the next by itself: `reset` would make a new encoder (verify-worker.js), of
  // the level that is zlib's own.
  encoder.writeSync(constants.ZSTD_e_end, plain, 0, plainLength, frame, 0, frame.length)
  const [unfilled = 0, unread = 0] = left
  if (failure === '' && (unread > 0 || unfilled === 0)) failure = 'a frame has no room'
  if (failure !== '') {
    ;({ encoder, left } = newEncoder())
    return { job, frameLength: 0, failure }
  }
  const frameLength = frame.length - unfilled
  return { job, frameLength: frameLength > frameLengthMax ? 0 : frameLength }
}

parentPort?.on('message', (/** @type {EncodeMessage} */ message) => {
  if ('shared' in message) memories.set(message.slot, message.shared)
  else parentPort?.postMessage(answer(message))
})
