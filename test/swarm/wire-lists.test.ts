import { encode as encodeCbor } from '@ipld/dag-cbor'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { limits } from '../../src/base/index.ts'
import type { Answer } from '../../src/swarm/wire.ts'
import {
  decodeAnswers,
  decodeWants,
  encodeAnswers,
  encodeWant,
  wantBytes
} from '../../src/swarm/wire-lists.ts'
import { throwsWith } from '../helpers/errors.ts'
import { anyAnswers, anyWants } from './messages.ts'

const peer = ['peer', ['/ip4/10.0.0.1/tcp/1']]

function answersOf(answers: readonly (readonly number[])[], peers: unknown): Buffer {
  return Buffer.concat([Buffer.from([answers.length, ...answers.flat()]), encodeCbor(peers)])
}

function refused(t: ExecutionContext, body: Buffer, decode: (body: Buffer) => unknown): void {
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => decode(body))
}

test('wants and answers are what they were, in their order', t => {
  fc.assert(
    fc.property(anyWants, wants => {
      t.deepEqual(decodeWants(Buffer.concat(wants.map(encodeWant))), wants)
    })
  )
  fc.assert(
    fc.property(anyAnswers, answers => {
      t.deepEqual(decodeAnswers(Buffer.from(encodeAnswers(answers))), answers)
    })
  )
})

test('a peer to whom many are sent is named once', t => {
  const to = [{ peerId: 'p'.repeat(50), addresses: ['/ip4/10.0.0.1/tcp/4910'] }]
  const redirects = (count: number): Answer[] =>
    Array.from({ length: count }, (_, request) => ({ type: 'redirect', request, to }))
  t.is(encodeAnswers(redirects(9)).length, encodeAnswers(redirects(1)).length + 8 * 6)
})

test('a list has at least one message, at most so many, and no part of one', t => {
  const most = limits.listMessagesMax
  t.is(decodeWants(Buffer.alloc(most * wantBytes)).length, most)
  for (const length of [0, wantBytes - 1, wantBytes + 1, (most + 1) * wantBytes]) {
    refused(t, Buffer.alloc(length), decodeWants)
  }
  const accept = [0, 0, 0, 1, 0, 0]
  t.is(decodeAnswers(answersOf(Array(most).fill(accept), [])).length, most)
  refused(t, Buffer.alloc(0), decodeAnswers)
  refused(t, answersOf([], []), decodeAnswers)
  refused(t, answersOf(Array(most + 1).fill(accept), []), decodeAnswers)
  refused(t, answersOf([accept], []).subarray(0, 7), decodeAnswers)
  refused(t, answersOf([accept], []).subarray(0, 5), decodeAnswers)
})

test('an answer is one of those that there are, and only a redirect names a peer, of the list', t => {
  t.notThrows(() => decodeAnswers(answersOf([[0, 0, 0, 1, 5, 0]], [peer])))
  for (const kind of [6, 255]) {
    refused(t, answersOf([[0, 0, 0, 1, kind, 0]], [peer]), decodeAnswers)
  }
  for (const kind of [0, 1, 2, 3, 4]) {
    t.notThrows(() => decodeAnswers(answersOf([[0, 0, 0, 1, kind, 0]], [])))
    refused(t, answersOf([[0, 0, 0, 1, kind, 1]], [peer, peer]), decodeAnswers)
  }
  refused(t, answersOf([[0, 0, 0, 1, 5, 0]], []), decodeAnswers)
  refused(t, answersOf([[0, 0, 0, 1, 5, 1]], [peer]), decodeAnswers)
  for (const peers of [{}, 'peers', [['peer']], Array(65).fill(peer)]) {
    refused(t, answersOf([[0, 0, 0, 1, 5, 0]], peers), decodeAnswers)
  }
})
