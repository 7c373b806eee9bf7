import { decode, encode } from '@ipld/dag-cbor'
import { lpStream } from '@libp2p/utils'
import test, { type ExecutionContext } from 'ava'
import { BootswarmError, generateSigningKey, type SigningKey } from '../../src/base/index.ts'
import { issueCertificate, openCertificate } from '../../src/swarm/certificate.ts'
import type { EnrolmentRequest } from '../../src/swarm/enrolment.ts'
import { peerIdOf } from '../../src/swarm/node.ts'
import { ticketSecret, type Ticket } from '../../src/swarm/ticket.ts'
import { enrolProtocol, protocolVersion } from '../../src/swarm/wire.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { startPeer, until, type TestPeer } from './peers.ts'
import { dialRaw, startRawNode } from './raw-peer.ts'

const lab = generateSigningKey()
const secret = ticketSecret(new Uint8Array(32), 1_000)

function ticketOf(...seeds: string[]): Ticket {
  return { labKey: lab.publicKey, seeds, expiresMs: 1_000, secret }
}

const machine = (t: ExecutionContext): Promise<TestPeer> =>
  startPeer(t, { lab, certificate: 'none' })

/** Speaks the seed's part of the conversation as it is told to; keeps what it hears. */
async function startFakeSeed(
  t: ExecutionContext,
  greeting: (peerId: string) => unknown,
  answer: unknown = {}
): Promise<{ address: string; heard: Record<string, unknown>[] }> {
  const key: SigningKey = generateSigningKey()
  const node = await startRawNode(t, key, ['/ip4/127.0.0.1/tcp/0'])
  const heard: Record<string, unknown>[] = []
  await node.handle(enrolProtocol, async stream => {
    const messages = lpStream(stream)
    await messages.write(encode(greeting(peerIdOf(key))))
    heard.push(decode((await messages.read()).subarray()))
    await messages.write(encode(answer))
  })
  return { address: node.getMultiaddrs()[0]?.toString() ?? '', heard }
}

const greetingOf =
  (role: 'seed' | 'agent', signer = lab) =>
  (peerId: string): unknown => ({
    version: protocolVersion,
    certificate: issueCertificate(signer, { peerId, role, name: 'admin' })
  })

test('a machine with a ticket gets a certificate, and with it is let in', async t => {
  const requests: EnrolmentRequest[] = []
  const seed = await startPeer(t, {
    lab,
    role: 'seed',
    enrol(request) {
      requests.push(request)
      return issueCertificate(lab, { peerId: request.peerId, role: 'agent', name: request.name })
    }
  })
  const agent = await machine(t)
  const { peerId } = agent.address
  const [address = ''] = seed.address.addresses
  const bytes = await agent.swarm.enrol([address], ticketOf(address), 'pc-3')
  t.deepEqual(openCertificate(lab.publicKey, peerId, bytes), {
    peerId,
    role: 'agent',
    name: 'pc-3'
  })
  t.like(requests[0], { peerId, name: 'pc-3', expiresMs: 1_000 })
  t.is(Buffer.compare(requests[0]?.secret ?? Buffer.of(), secret), 0)
  agent.swarm.certificate = bytes
  const link = await agent.swarm.connect(seed.address)
  t.is(link.certificate?.role, 'seed')
})

test("the seed's reason for a refusal reaches the machine, as its one line", async t => {
  for (const reason of ['the ticket expired at noon', 'the ticket is not of this lab']) {
    const seed = await startPeer(t, {
      lab,
      role: 'seed',
      enrol() {
        throw new BootswarmError('ERR_TICKET_INVALID', reason)
      }
    })
    const agent = await machine(t)
    const [address = ''] = seed.address.addresses
    const enrolled = agent.swarm.enrol([address], ticketOf(address), 'pc-3')
    const error = await rejectsWith(t, 'ERR_TICKET_INVALID', enrolled)
    t.is(error.message, reason)
  }
})

test('a defect of the seed is not shown to the machine as its own', async t => {
  const seed = await startPeer(t, {
    lab,
    role: 'seed',
    enrol() {
      throw new TypeError('something internal')
    }
  })
  const agent = await machine(t)
  const [address = ''] = seed.address.addresses
  const error = await t.throwsAsync(agent.swarm.enrol([address], ticketOf(address), 'pc-3'))
  t.notRegex(error.message, /internal/)
})

test('the secret is not said to a seed of another lab, to an agent, or to nobody in particular', async t => {
  const other = issueCertificate(lab, { peerId: 'another', role: 'seed', name: 'admin' })
  const fakes: [greeting: (peerId: string) => unknown, code: BootswarmError['code']][] = [
    [greetingOf('seed', generateSigningKey()), 'ERR_PEER_UNTRUSTED'],
    [greetingOf('agent'), 'ERR_PEER_UNTRUSTED'],
    [() => ({ version: protocolVersion, certificate: other }), 'ERR_PEER_UNTRUSTED'],
    [() => ({ version: protocolVersion }), 'ERR_PEER_PROTOCOL'],
    [() => ({ version: protocolVersion, certificate: 'text' }), 'ERR_PEER_PROTOCOL'],
    [() => 'hello', 'ERR_PEER_PROTOCOL'],
    [() => null, 'ERR_PEER_PROTOCOL'],
    [() => ({ version: protocolVersion + 1 }), 'ERR_FORMAT_VERSION'],
    [() => ({ version: protocolVersion - 1 }), 'ERR_FORMAT_VERSION'],
    [() => ({}), 'ERR_FORMAT_VERSION']
  ]
  const agent = await machine(t)
  await Promise.all(
    fakes.map(async ([greeting, code]) => {
      const fake = await startFakeSeed(t, greeting)
      await rejectsWith(t, code, agent.swarm.enrol([fake.address], ticketOf(fake.address), 'pc-3'))
      t.deepEqual(fake.heard, [])
    })
  )
})

test('an answer that is no certificate is malformed', async t => {
  const agent = await machine(t)
  for (const answer of [{}, [], { certificate: 'text' }]) {
    const fake = await startFakeSeed(t, greetingOf('seed'), answer)
    const enrolled = agent.swarm.enrol([fake.address], ticketOf(fake.address), 'pc-3')
    await rejectsWith(t, 'ERR_PEER_PROTOCOL', enrolled)
    t.deepEqual(Object.keys(fake.heard[0] ?? {}).toSorted(), ['expires', 'name', 'secret'])
  }
})

test('malformed requests are not put before the enroller, and end the conversation', async t => {
  let asked = 0
  const seed = await startPeer(t, {
    lab,
    role: 'seed',
    enrol() {
      asked += 1
      return new Uint8Array()
    }
  })
  const node = await startRawNode(t)
  const { connection } = await dialRaw(node, seed)
  const good = { name: 'pc', expires: 1, secret }
  for (const bad of [
    null,
    {},
    { ...good, name: 1 },
    { ...good, expires: '1' },
    { ...good, secret: 1 }
  ]) {
    const stream = await connection.newStream(enrolProtocol)
    const messages = lpStream(stream)
    const greeting = decode<{ version: number }>((await messages.read()).subarray())
    t.is(greeting.version, protocolVersion)
    await messages.write(encode(bad))
    await until(() => stream.status !== 'open', 'the end of the conversation')
  }
  t.is(asked, 0)
})
