import test from 'ava'
import { CompletionNotice } from '../../src/agent/completion-notice.ts'
import { newIdentity } from '../../src/agent/identity.ts'
import { openCompletion, peerIdOf, type Link, type Message } from '../../src/swarm/index.ts'

const imageId = '11'.repeat(32)
const figures = {
  verifiedBytes: 100,
  machineWrittenBytes: 20,
  unverifiableBytes: 0,
  seconds: 3.5,
  bytesFromSeed: 40,
  bytesFromPeers: 30,
  bytesLocal: 10
}

/** Of a link only what a notice looks at. */
function linkTo(role: 'seed' | 'agent'): { link: Link; told: Uint8Array[] } {
  const told: Uint8Array[] = []
  const send = (message: Message): void => {
    if (message.type === 'completion') told.push(message.signed)
  }
  return { link: { certificate: { role, name: '', peerId: '' }, send } as unknown as Link, told }
}

test('seeds are told once there is something to tell, and nobody else', t => {
  const identity = newIdentity()
  const notice = new CompletionNotice(identity, imageId, false)
  const [seed, agent] = [linkTo('seed'), linkTo('agent')]
  notice.tell(seed.link)
  t.deepEqual(seed.told, [])
  const signed = notice.sign(figures)
  notice.tell(seed.link)
  notice.tell(agent.link)
  t.deepEqual([seed.told, agent.told], [[signed], []])
  const peerId = peerIdOf(identity.key)
  t.deepEqual(openCompletion(peerId, signed), { peerId, imageId, figures })
})

test('what was kept is told again, but not for another image, nor when it or the disk may be damaged', t => {
  const identity = newIdentity()
  const completion = new CompletionNotice(identity, imageId, false).sign(figures)
  const toldBy = (kept: Uint8Array | undefined, id: string, isComplete = true): number => {
    const { link, told } = linkTo('seed')
    new CompletionNotice({ ...identity, completion: kept }, id, isComplete).tell(link)
    return told.length
  }
  t.is(toldBy(completion, imageId), 1)
  t.is(toldBy(completion, '22'.repeat(32)), 0)
  t.is(toldBy(completion.with(completion.length - 1, 0), imageId), 0)
  t.is(toldBy(undefined, imageId), 0)
  t.is(toldBy(completion, imageId, false), 0, 'of a disk that is verified again')
})
