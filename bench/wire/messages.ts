import type { FrameKind } from './frames.ts'

// What the bench and its two processes say to each other over Node's own channel.

export const transports = ['bare', 'tls', 'noise'] as const
/** `bare` is a node:tls socket that moves the same sizes and checks nothing. */
export type Transport = (typeof transports)[number]

export interface Task {
  readonly transport: Transport
  readonly frames: FrameKind
  /** Requests that the receiver keeps open. */
  readonly depth: number
  readonly seconds: number
}

/** Sums since the process began. */
export interface Usage {
  readonly cpuSeconds: number
  readonly frameBytes: number
  readonly plainBytes: number
  /** Resident and anonymous memory now, and the most that was ever resident. */
  readonly residentBytes: number
  readonly anonymousBytes: number
  readonly residentBytesMax: number
  /** Of the event loop, since the look before. */
  readonly loopDelayMsP99: number
  readonly nowMs: number
}

export type ToPeer =
  | { readonly say: 'serve'; readonly task: Task }
  | { readonly say: 'fetch'; readonly task: Task; readonly address: ServerAddress }
  /** Makes so many agents that connect at `connect` and each keep one request open from `fetchAll` on. */
  | { readonly say: 'gather'; readonly count: number; readonly address: ServerAddress }
  | { readonly say: 'connect' }
  | { readonly say: 'fetchAll' }
  | { readonly say: 'usage' }
  | { readonly say: 'decode'; readonly frames: FrameKind }

export type FromPeer =
  | { readonly say: 'serving'; readonly address: ServerAddress }
  | { readonly say: 'fetching' }
  | { readonly say: 'gathered' }
  | { readonly say: 'connected' }
  | { readonly say: 'usage'; readonly usage: Usage }
  /** CPU-seconds a plain byte that decompression alone takes here. */
  | { readonly say: 'decoded'; readonly cpuSecondsPerByte: number }

export interface ServerAddress {
  readonly peerId: string
  readonly addresses: readonly string[]
  /** Chunk ids and plain lengths are equal for all: the default chunk. */
  readonly ids: readonly string[]
  readonly labSeed: string
}
