import type { RequestClass } from '../base/index.ts'
import type { PeerRole } from './peer-table.ts'

// What happens to a node that fetches, and what it does about it.

export type FetchEvent =
  /** Somebody needs the items; a lower class than before says that the need has passed. */
  | { readonly type: 'want'; readonly items: readonly number[]; readonly class: RequestClass }
  /** The item is here, or is needed no more. */
  | { readonly type: 'settled'; readonly item: number }
  | {
      readonly type: 'peer'
      readonly peer: string
      readonly role: PeerRole
      /** In another rack or subnet than this machine; near when left out. */
      readonly isFar?: boolean
    }
  | { readonly type: 'gone'; readonly peer: string }
  | { readonly type: 'heard'; readonly peer: string }
  /** It sends what is not what it was asked for, and is not to be asked again. */
  | { readonly type: 'banned'; readonly peer: string }
  | { readonly type: 'has-all'; readonly peer: string }
  | {
      readonly type: 'has-map'
      readonly peer: string
      readonly first: number
      readonly bits: Uint8Array
    }
  | { readonly type: 'has'; readonly peer: string; readonly items: readonly number[] }
  | { readonly type: 'has-not'; readonly peer: string; readonly items: readonly number[] }
  | {
      readonly type: 'accepted'
      readonly peer: string
      readonly item: number
      readonly waiting: boolean
    }
  | {
      readonly type: 'progress'
      readonly peer: string
      readonly item: number
      readonly bytes: number
    }
  | {
      readonly type: 'refused'
      readonly peer: string
      readonly item: number
      readonly reason: 'not-held' | 'busy' | 'given-up' | 'corrupt'
    }
  | {
      readonly type: 'redirected'
      readonly peer: string
      readonly item: number
      readonly to: readonly string[]
    }
  /** A peer waits here for an item that we wait for ourselves: it is to come as soon as the peer needs it. */
  | { readonly type: 'awaited'; readonly item: number; readonly class: RequestClass }
  /** Others have read the items: whoever boots the same image soon will. */
  | { readonly type: 'expected'; readonly items: readonly number[] }
  /** What earlier boots of the image read, in their order: its boot profile, or a guess. Said again, the order is renewed. */
  | { readonly type: 'foreseen'; readonly items: readonly number[] }
  /** So many machines work on the image, says a seed. */
  | { readonly type: 'crowd'; readonly machines: number }
  /** The machine reads what lies before the items, one after the other: it will come to them. */
  | { readonly type: 'ahead'; readonly items: readonly number[] }
  /** The machine reads the item for the first time, whether it is here or not. */
  | { readonly type: 'read'; readonly item: number }
  /** A seed that was to send one more has picked the item; undefined when that cannot be used. */
  | { readonly type: 'given'; readonly peer: string; readonly item: number | undefined }
  /** A seed that was to send one more has nothing for us now. */
  | { readonly type: 'no-more'; readonly peer: string }
  /** A peer that was to be connected to cannot be reached. */
  | { readonly type: 'unreachable'; readonly peer: string }
  /** Time has passed: at least every `tickMs` while anything is asked for. */
  | { readonly type: 'tick' }

export type FetchAction =
  /** Also changes the class of a request that is out already. */
  | {
      readonly type: 'request'
      readonly peer: string
      readonly item: number
      readonly class: RequestClass
      readonly insist: boolean
    }
  /** Ask a seed for whatever item it picks. */
  | { readonly type: 'more'; readonly peer: string; readonly class: RequestClass }
  | { readonly type: 'cancel'; readonly peer: string; readonly item: number }
  | { readonly type: 'connect'; readonly peer: string }
  /** A `tick` is wanted after so long. */
  | { readonly type: 'look-again'; readonly afterMs: number }
  /** A peer has accepted the request: those whose answer waited for this can be answered. */
  | { readonly type: 'promised'; readonly item: number }
  /** The item was asked for and is not any more: peers that wait for it here must go elsewhere. */
  | { readonly type: 'abandoned'; readonly item: number }

/** Such an event changes nothing about whom to ask. */
export function isSignOfLife({ type }: FetchEvent): boolean {
  return (
    type === 'heard' ||
    type === 'progress' ||
    type === 'accepted' ||
    type === 'awaited' ||
    type === 'read'
  )
}
