// @ts-check
// The other side of verify-thread.ts: decodes and hashes, one frame after the other, in memory that both
// sides see; it waits for them there, and not in its event loop. It is told lengths and trusts none of the bytes. Plain JavaScript without imports of
// ours: a thread that strips types first takes 25 MB more, and an agent has 200 MB in all.
import { hash } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { constants, createZstdDecompress } from 'node:zlib'

/** @typedef {import('./verify-thread.ts').VerifyMessage} VerifyMessage */

if (parentPort === null) throw new Error('this is a thread of verify-thread.ts')
const port = parentPort
/** @type {import('./verify-thread.ts').VerifyWorkerData} */
const { params, ring, layout, outcomes } = workerData
const words = new Int32Array(ring)
const ringBytes = Buffer.from(ring)

// One decoder for all frames, writing where the plain bytes belong. zstdDecompressSync makes a decoder
// and a buffer a frame, all of it garbage at once: that cost three times as much as decoding. Its `reset`
// makes a new one as well, of pages that the kernel clears first: as much again. So a frame must have ended
// where its bytes do before the decoder is used for the next. What is used of Node here is not documented;
// Node is pinned, and test/image/verifier.test.ts fails without it.
let { decoder, left } = newDecoder()
const nothing = new Uint8Array(0)
/** Takes what a frame holds beyond what it states. */
const beyond = new Uint8Array(64)

let failure = ''

function newDecoder() {
  const engine = /** @type {any} */ (createZstdDecompress({ params }))
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

/** @param {Uint8Array} bytes */
function isZstd(bytes) {
  return bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd
}

/**
 * Where the zstd frame that the bytes begin with ends, by the lengths of its header and blocks
 * (RFC 8878, 3.1.1); undefined when it does not end in them.
 *
 * @param {Uint8Array} bytes
 * @returns {number | undefined}
 */
function endOfFrame(bytes) {
  const magicBytes = 4
  if (!isZstd(bytes)) return undefined
  const flags = bytes[magicBytes] ?? 0
  const isSingleSegment = (flags & 0x20) !== 0
  const windowBytes = isSingleSegment ? 0 : 1
  const dictionaryBytes = [0, 1, 2, 4][flags & 3] ?? 0
  const contentBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0
  const checksumBytes = (flags & 4) === 0 ? 0 : 4
  let at = magicBytes + 1 + windowBytes + dictionaryBytes + contentBytes
  for (let isLast = false; !isLast;) {
    if (at + 3 > bytes.length) return undefined
    const head = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16)
    const isRepeatedByte = ((head >> 1) & 3) === 1
    at += 3 + (isRepeatedByte ? 1 : head >> 3)
    isLast = (head & 1) === 1
  }
  return at + checksumBytes
}

/**
 * @param {number} at where its slot begins
 * @returns {Uint8Array}
 */
function decode(at) {
  const shared = memories.get(words[at + layout.memory] ?? 0)
  if (shared === undefined) throw new Error('its memory is not known')
  const frameLength = words[at + layout.frameLength] ?? 0
  const plainLength = words[at + layout.plainLength] ?? 0
  const frame = new Uint8Array(shared, 0, frameLength)
  if (words[at + layout.isPlain] === 1) return frame
  const plain = new Uint8Array(shared, words[at + layout.plainOffset], plainLength)
  if (endOfFrame(frame) !== frameLength) throw new Error('it is not one whole frame')
  failure = ''
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

/** @param {number} at where its slot begins */
function verify(at) {
  try {
    const digest = hash('sha256', decode(at), 'buffer')
    const from = 4 * (at + layout.digest)
    const isSame = digest.compare(ringBytes, from, from + digest.length) === 0
    words[at + layout.outcome] = isSame ? outcomes.matches : outcomes.differs
  } catch (error) {
    // What is left in a decoder that failed could spoil the next frame.
    ;({ decoder, left } = newDecoder())
    const text = error instanceof Error ? error.message : String(error)
    const from = 4 * (at + layout.failure)
    words[at + layout.failureBytes] = ringBytes.write(text, from, layout.failureBytesMax)
    words[at + layout.outcome] = outcomes.failed
  }
}

function readMessages() {
  for (;;) {
    const received = receiveMessageOnPort(port)
    if (received === undefined) return
    /** @type {VerifyMessage} */
    const message = received.message
    if ('shared' in message) memories.set(message.memory, message.shared)
    else forget(message.forget)
  }
}

for (let done = 0; ;) {
  const wakes = Atomics.load(words, layout.wakes)
  readMessages()
  while (done !== Atomics.load(words, layout.posted)) {
    // A job may have been posted since with memory that was shared just before it.
    const at = layout.firstSlot + (done & (layout.slots - 1)) * layout.slotWords
    if (!memories.has(words[at + layout.memory] ?? 0)) readMessages()
    verify(at)
    done = (done + 1) | 0
    Atomics.store(words, layout.done, done)
    if (Atomics.exchange(words, layout.called, 1) === 0) port.postMessage(null)
  }
  Atomics.wait(words, layout.wakes, wakes)
}
