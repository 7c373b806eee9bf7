import type { ChunkId, Frame, RequestClass } from '../base/index.ts'

// What peers say to each other; how it looks in bytes is in wire.ts.

export const refusalReasons = ['not-held', 'busy', 'given-up'] as const
export type RefusalReason = (typeof refusalReasons)[number]

export interface PeerAddress {
  /** libp2p peer id, base58. */
  readonly peerId: string
  /** Multiaddrs in text form. */
  readonly addresses: readonly string[]
}

/** What a machine says of itself to the seed; the dashboard and `status` show it. */
export interface MachineReport {
  readonly state: string
  readonly imageId: ChunkId
  /** 0 to 1. */
  readonly present: number
  /** Payload bytes a second. */
  readonly rate: number
  readonly bytesFromSeed: number
  readonly bytesFromPeers: number
  /** Its hardware addresses and SMBIOS UUID, as parseMachineId writes them. */
  readonly ids?: readonly string[]
  /** Where other machines may load what they boot from it, `http://HOST:PORT`, and which files. */
  readonly bootUrls?: readonly string[]
  readonly bootFiles?: readonly string[]
}

export type Message =
  | {
      readonly type: 'hello'
      readonly version: number
      readonly certificate: Uint8Array
      readonly listen: readonly string[]
      /** Where the sender is; see `isLocation`. */
      readonly location?: string | undefined
      /** The sender understands `wants` and `answers`. */
      readonly lists?: boolean | undefined
    }
  /** Repeated with the same request number, it changes the class of what is already wanted. */
  | {
      readonly type: 'want'
      readonly request: number
      readonly class: RequestClass
      /** The asker has been sent elsewhere in vain: answer or refuse, do not redirect. */
      readonly insist: boolean
      readonly id: ChunkId
    }
  | { readonly type: 'cancel'; readonly request: number }
  /** The want is accepted; `waiting` when the answerer is still receiving the chunk itself. */
  | { readonly type: 'accept'; readonly request: number; readonly waiting: boolean }
  | {
      readonly type: 'frame'
      readonly request: number
      readonly encoding: Frame['encoding']
      readonly frameLength: number
      readonly plainLength: number
    }
  /** Takes one more chunk of the image, whichever the answerer picks. */
  | {
      readonly type: 'more'
      readonly request: number
      readonly class: RequestClass
      readonly imageId: ChunkId
    }
  /** The chunk that was picked; its frame follows. */
  | { readonly type: 'give'; readonly request: number; readonly id: ChunkId }
  /** The frame's last byte has arrived: the sender may send the next. */
  | { readonly type: 'got'; readonly request: number }
  | { readonly type: 'segment'; readonly request: number; readonly bytes: Uint8Array }
  | { readonly type: 'refuse'; readonly request: number; readonly reason: RefusalReason }
  | { readonly type: 'redirect'; readonly request: number; readonly to: readonly PeerAddress[] }
  | { readonly type: 'interest'; readonly imageId: ChunkId; readonly itemCount: number }
  | { readonly type: 'have-all'; readonly imageId: ChunkId }
  | {
      readonly type: 'have-map'
      readonly imageId: ChunkId
      /** First item of the map; a multiple of 8. Bit 7 of byte 0 is that item. */
      readonly first: number
      readonly bits: Uint8Array
    }
  | { readonly type: 'have'; readonly imageId: ChunkId; readonly items: readonly number[] }
  | { readonly type: 'have-not'; readonly imageId: ChunkId; readonly items: readonly number[] }
  /** Items that a machine has read, in that order: others that boot the same image soon will. */
  | { readonly type: 'read'; readonly imageId: ChunkId; readonly items: readonly number[] }
  /** Peer ids of the seeds that hold the whole image, as the sender sees it: they share its chunks. */
  | { readonly type: 'seeds'; readonly imageId: ChunkId; readonly seeds: readonly string[] }
  | { readonly type: 'peers'; readonly peers: readonly PeerAddress[] }
  | { readonly type: 'ping'; readonly nonce: number }
  | { readonly type: 'pong'; readonly nonce: number }
  | { readonly type: 'resolve'; readonly request: number; readonly name: string }
  /** An empty `release` says that no such image is known. */
  | { readonly type: 'release'; readonly request: number; readonly release: Uint8Array }
  | { readonly type: 'report'; readonly report: MachineReport }
  /** The order in which a boot read the image's chunks (image/boot-profile.ts), for a seed. */
  | { readonly type: 'boot'; readonly imageId: ChunkId; readonly bytes: Uint8Array }
  /** What boots of the image are foreseen to read, signed by the lab. */
  | {
      readonly type: 'profile'
      readonly imageId: ChunkId
      /** Machines of the image that a seed knows of; 0 from an agent. */
      readonly machines: number
      readonly bytes: Uint8Array
    }
  /** To seeds: the disk is whole and verified; see completion-report.ts. */
  | { readonly type: 'completion'; readonly signed: Uint8Array }

export type Want = Extract<Message, { type: 'want' }>
export type Answer = Extract<Message, { type: 'accept' | 'refuse' | 'redirect' }>

/** Several messages of a kind that leave together, as one. */
export type ListMessage =
  | { readonly type: 'wants'; readonly wants: readonly Want[] }
  /** Each redirect among them names one peer. */
  | { readonly type: 'answers'; readonly answers: readonly Answer[] }

/** What stands between two lengths on the wire. */
export type WireMessage = Message | ListMessage
