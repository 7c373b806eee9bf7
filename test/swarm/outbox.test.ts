import test from 'ava'
import fc from 'fast-check'
import { limits } from '../../src/base/index.ts'
import { messagesIn, Outbox } from '../../src/swarm/outbox.ts'
import type { Message, WireMessage } from '../../src/swarm/wire.ts'
import { anyMessage } from './messages.ts'

const id = 'ab'.repeat(32)
const want = (request: number): Message => ({
  type: 'want',
  request,
  class: 'urgent',
  insist: false,
  id
})
const accept = (request: number): Message => ({ type: 'accept', request, waiting: false })

function outboxOfLists(): Outbox {
  const outbox = new Outbox()
  outbox.takesLists = true
  return outbox
}

/** All that leaves when these are said in one turn. */
function turn(messages: readonly Message[], outbox = outboxOfLists()): WireMessage[] {
  const out = messages.flatMap(message => outbox.put(message))
  const rest = outbox.take()
  return rest === undefined ? out : [...out, rest]
}

test('whatever is said leaves in its order, in lists that are no longer than they may be', t => {
  const anyTurn = fc.array(anyMessage.map(messagesIn), { maxLength: 20 }).map(lists => lists.flat())
  fc.assert(
    fc.property(fc.array(anyTurn, { maxLength: 5 }), turns => {
      const outbox = outboxOfLists()
      for (const messages of turns) {
        const out = turn(messages, outbox)
        t.deepEqual(out.flatMap(messagesIn), messages)
        t.true(out.every(whole => messagesIn(whole).length <= limits.listMessagesMax))
        t.true(outbox.isEmpty)
      }
    }),
    { numRuns: 200 }
  )
})

test('wants that follow one another are one message, and so are answers', t => {
  const said = [
    want(1),
    want(2),
    accept(7),
    { type: 'refuse', request: 8, reason: 'busy' }
  ] as const
  t.deepEqual(turn(said), [
    { type: 'wants', wants: [said[0], said[1]] },
    { type: 'answers', answers: [said[2], said[3]] }
  ] as WireMessage[])
})

test('what stands alone, or in another turn, is what it is', t => {
  const outbox = outboxOfLists()
  t.deepEqual(turn([want(1)], outbox), [want(1)])
  t.deepEqual(turn([want(2), accept(3)], outbox), [want(2), accept(3)])
  const cancel = { type: 'cancel', request: 4 } as const
  t.deepEqual(turn([want(4), cancel, want(5)], outbox), [want(4), cancel, want(5)])
})

test('a list that is full begins another', t => {
  const many = Array.from({ length: limits.listMessagesMax + 1 }, (_, n) => want(n))
  t.deepEqual(
    turn(many).map(whole => messagesIn(whole).length),
    [limits.listMessagesMax, 1]
  )
})

test('a redirect that does not name one peer stands alone', t => {
  const peers = [1, 2].map(n => ({ peerId: `peer ${n}`, addresses: [] }))
  const lists = [[], peers].map(to => turn([accept(1), { type: 'redirect', request: 2, to }]))
  t.deepEqual(
    lists.map(list => list.map(({ type }) => type)),
    [
      ['accept', 'redirect'],
      ['accept', 'redirect']
    ]
  )
})

test('as long as the peer has not said that it takes lists, nothing is joined', t => {
  const said = [want(1), want(2), accept(7)]
  t.deepEqual(turn(said, new Outbox()), said)
})
