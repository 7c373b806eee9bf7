import type { ExecutionContext } from 'ava'
import { generateSigningKey, silentLogger, type SigningKey } from '../../src/base/index.ts'
import { issueCertificate, type Certificate } from '../../src/swarm/certificate.ts'
import type { Enroller } from '../../src/swarm/enrolment.ts'
import type { Link } from '../../src/swarm/link.ts'
import { Swarm } from '../../src/swarm/swarm.ts'
import type { Message, PeerAddress } from '../../src/swarm/wire.ts'

// Real swarm nodes on loopback, each with a record of what it met.

const waitMs = 60_000

export interface TestPeer {
  readonly swarm: Swarm
  readonly address: PeerAddress
  /** Every message that came in over a link, in order. */
  readonly received: Message[]
  /** `peer ID` and `gone ID`, in order. */
  readonly history: string[]
  /** Set it to act on messages; what it throws closes the link, as in the product. */
  onMessage: (link: Link, message: Message) => void
  onWritable: () => void
  onGone: (link: Link, error: Error | undefined) => void
}

export interface TestPeerOptions {
  readonly lab: SigningKey
  readonly key?: SigningKey
  readonly role?: Certificate['role']
  readonly name?: string
  readonly enrol?: Enroller
  /** What it shows; the default is a proper certificate of the lab, `none` is nothing at all. */
  readonly certificate?: Uint8Array | 'none'
}

export async function startPeer(t: ExecutionContext, options: TestPeerOptions): Promise<TestPeer> {
  const received: Message[] = []
  const history: string[] = []
  const swarm = await Swarm.start({
    key: options.key ?? generateSigningKey(),
    labKey: options.lab.publicKey,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    logger: silentLogger,
    ...(options.enrol === undefined ? {} : { enrol: options.enrol }),
    handlers: {
      onPeer: link => history.push(`peer ${link.peerId}`),
      onMessage: (link, message) => {
        received.push(kept(message))
        peer.onMessage(link, message)
      },
      onWritable: () => peer.onWritable(),
      onGone: (link, error) => {
        history.push(`gone ${link.peerId}`)
        peer.onGone(link, error)
      }
    }
  })
  t.teardown(() => swarm.stop())
  const { peerId } = swarm
  const peer: TestPeer = {
    swarm,
    address: { peerId, addresses: swarm.addresses() },
    received,
    history,
    onMessage: () => {},
    onWritable: () => {},
    onGone: () => {}
  }
  const { certificate, role = 'agent', name = 'pc-1' } = options
  if (certificate !== 'none') {
    swarm.certificate = certificate ?? issueCertificate(options.lab, { peerId, role, name })
  }
  return peer
}

/** The bytes of a segment are overwritten when it has been handled. */
function kept(message: Message): Message {
  return message.type === 'segment' ? { ...message, bytes: Buffer.from(message.bytes) } : message
}

/** Looks again after every turn of the event loop that brings something, until it is so. */
export async function until(
  holds: () => boolean,
  what: string,
  patienceMs = waitMs
): Promise<void> {
  const end = performance.now() + patienceMs
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
