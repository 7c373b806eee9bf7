import { randomInt } from 'node:crypto'
import { signingKeyFromSeed } from '../../src/base/index.ts'
import type { Link, Message } from '../../src/swarm/index.ts'
import type { ServerAddress } from './messages.ts'
import { startSwarm } from './product.ts'
import { counted } from './usage.ts'

const patienceMs = 60_000

/** Connects as an agent does, asks for one chunk after the other, and looks at none: hundreds share a process. */
export interface CrowdAgent {
  connect(): Promise<void>
  ask(): void
}

export async function gather(count: number, address: ServerAddress): Promise<CrowdAgent[]> {
  const agents: CrowdAgent[] = []
  for (let n = 0; n < count; n += 1) agents.push(await crowdAgent(address))
  return agents
}

async function crowdAgent(address: ServerAddress): Promise<CrowdAgent> {
  const lab = signingKeyFromSeed(Buffer.from(address.labSeed, 'hex'))
  let link: Link | undefined
  let request = 0
  let left = 0
  const ask = (): void => {
    request += 1
    const id = address.ids[randomInt(address.ids.length)] ?? ''
    link?.send({ type: 'want', request, class: 'background', insist: false, id })
  }
  const onMessage = (from: Link, message: Message): void => {
    if (message.type === 'frame') left = message.frameLength
    if (message.type === 'refuse') setTimeout(ask, 100)
    if (message.type === 'ping') from.send({ type: 'pong', nonce: message.nonce })
    if (message.type !== 'segment') return
    counted.frameBytes += message.bytes.length
    left -= message.bytes.length
    if (left > 0) return
    from.send({ type: 'got', request })
    ask()
  }
  const swarm = await startSwarm(lab, 'agent', 'tls', {
    onPeer: () => {},
    onWritable: () => {},
    onGone: () => console.error('a link of the crowd has ended'),
    onMessage
  })
  return {
    ask,
    connect: async () => {
      // As an agent does: hundreds that share two processors may not all be done in time.
      for (const end = performance.now() + patienceMs; link === undefined;) {
        link = await swarm.connect(address).catch((error: unknown) => {
          if (performance.now() > end) throw error
          return undefined
        })
      }
    }
  }
}
