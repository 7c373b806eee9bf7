import {
  limits,
  silentLogger,
  type ChunkId,
  type Frame,
  type Gift,
  type Holding,
  type Logger,
  type RequestClass,
  type SendPolicy,
  type ServeDecision,
  type Want
} from '../../src/base/index.ts'
import { chunkIdOf, plainFrame } from '../../src/image/index.ts'
import { Uploads } from '../../src/swarm/uploads.ts'
import { noise } from '../helpers/image-files.ts'
import type { FakeLink } from './fake-link.ts'

export const { segmentBytes } = limits
export const id = (n: number): ChunkId => chunkIdOf(Buffer.from(`chunk ${n}`))
export const frameOf = (segments: number): Frame => plainFrame(noise(segments * segmentBytes, 1))

/** Uploads that send everything unless told otherwise, and what they asked of their neighbours. */
export function started(
  options: {
    holding?: Holding
    decide?: (want: Want) => ServeDecision
    load?: (id: ChunkId) => Promise<Frame | undefined>
    next?: (peer: string) => Gift
    window?: SendPolicy
    awaited?: (id: ChunkId, requestClass: RequestClass) => void
    logger?: Logger
  } = {}
) {
  const calls: string[] = []
  const wants: Want[] = []
  const loads: ChunkId[] = []
  const uploads = new Uploads({
    policy: {
      decide(want) {
        wants.push(want)
        return options.decide?.(want) ?? { kind: 'send' }
      },
      sent: peer => calls.push(`sent ${peer}`),
      dropped: peer => calls.push(`dropped ${peer}`),
      holds: () => {},
      gone: peer => calls.push(`gone ${peer}`)
    },
    source: {
      holding: () => options.holding ?? 'held',
      async load(chunk) {
        loads.push(chunk)
        return options.load === undefined ? frameOf(1) : options.load(chunk)
      }
    },
    clock: { now: () => 0 },
    window: options.window,
    giving: options.next === undefined ? undefined : { next: options.next },
    onAwaited: options.awaited,
    logger: options.logger ?? silentLogger,
    addressOf: peerId =>
      peerId === 'unknown' ? undefined : { peerId, addresses: ['/ip4/10.0.0.1/tcp/1'] }
  })
  const want = (
    to: FakeLink,
    request: number,
    requestClass: RequestClass = 'background',
    chunk = id(request)
  ): void => {
    uploads.want(to.link, {
      type: 'want',
      request,
      class: requestClass,
      insist: false,
      id: chunk
    })
  }
  return { uploads, want, calls, wants, loads }
}

/** Loading takes a few turns of the event loop, a burst of segments one each. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise(resolve => setImmediate(resolve))
}

export const outline = ({ sent }: FakeLink): string[] =>
  sent.map(message => ('request' in message ? `${message.type} ${message.request}` : message.type))
