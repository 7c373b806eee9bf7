import { appendFileSync } from 'node:fs'
import { Serving } from '../../src/scheduler/serving.ts'
import { Link } from '../../src/swarm/link.ts'

// Loaded into a seed or an agent before it starts (node --import): counts the messages that pass its
// links and the chunks that it sends, four times a second, into the file BOOTSWARM_PROBE. Benches
// only; the product knows nothing of it.

const intervalMs = 250
const path = process.env.BOOTSWARM_PROBE

const received: Record<string, number> = {}
const sent: Record<string, number> = {}
const decisions: Record<string, number> = {}
let chunks: string[] = []

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

function write(): void {
  if (path === undefined) return
  const line = { epochMs: Date.now(), received, sent, decisions, chunks }
  appendFileSync(path, `${JSON.stringify(line)}\n`)
  chunks = []
}

type Messaged = { type: string }

/* eslint-disable @typescript-eslint/unbound-method -- each is called with the object it came from */
const { open, send, sendSegment } = Link.prototype
Link.prototype.open = function (handlers) {
  const { onMessage } = handlers
  open.call(this, {
    ...handlers,
    onMessage: message => {
      count(received, (message as Messaged).type)
      onMessage.call(handlers, message)
    }
  })
}
Link.prototype.send = function (message) {
  count(sent, (message as Messaged).type)
  send.call(this, message)
}
Link.prototype.sendSegment = function (request, bytes) {
  count(sent, 'segment')
  sendSegment.call(this, request, bytes)
}

const { sent: chunkSent, decide } = Serving.prototype
Serving.prototype.sent = function (peer, id, now) {
  chunks.push(id)
  chunkSent.call(this, peer, id, now)
}
Serving.prototype.decide = function (want, holding, now) {
  const decision = decide.call(this, want, holding, now)
  count(decisions, `${want.class}${want.insist ? ' insisting' : ''} → ${decision.kind}`)
  return decision
}

if (path !== undefined) {
  setInterval(write, intervalMs).unref()
  process.on('exit', write)
}
