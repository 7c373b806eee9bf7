import { appendFileSync } from 'node:fs'
import { Serving } from '../../src/scheduler/serving.ts'
import { Link } from '../../src/swarm/link.ts'
import { MessageReader } from '../../src/swarm/message-reader.ts'
import { Outbox } from '../../src/swarm/outbox.ts'

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

/* eslint-disable @typescript-eslint/unbound-method -- each is called with the object it came from */
const { push } = MessageReader.prototype
MessageReader.prototype.push = function* (bytes) {
  for (const message of push.call(this, bytes)) {
    count(received, message.type)
    yield message
  }
}
const { put, take } = Outbox.prototype
Outbox.prototype.put = function (message) {
  const due = put.call(this, message)
  for (const { type } of due) count(sent, type)
  return due
}
Outbox.prototype.take = function () {
  const rest = take.call(this)
  if (rest !== undefined) count(sent, rest.type)
  return rest
}
const { sendSegment } = Link.prototype
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
