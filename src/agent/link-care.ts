import { limits } from '../base/index.ts'

export interface LinkState {
  /** Since the peer said anything. */
  readonly silentMs: number
  /** Since the link served for anything but to see whether the peer is alive. */
  readonly idleMs: number
  /** Whether it is worth keeping while nothing is asked over it. */
  readonly isKept: boolean
  /** Since this machine lost an address; undefined if it never did. */
  readonly lostAddressMs?: number | undefined
}

/**
 * What is due on a link. A peer that was cut off says nothing more, and without pings its link would
 * live for ever. A link that a redirect made is closed when its errand is done: in a large lab there
 * are hundreds. A machine that lost an address has lost the links that were made with it, of which
 * nothing is ever heard: who does not answer the next ping is given up without the usual patience.
 */
export function careFor({
  silentMs,
  idleMs,
  isKept,
  lostAddressMs = Infinity
}: LinkState): 'silent' | 'done' | 'ping' | 'none' {
  if (silentMs >= lostAddressMs) {
    return lostAddressMs >= limits.pingIntervalMs / 2 ? 'silent' : 'ping'
  }
  if (silentMs > limits.peerSilentMs) return 'silent'
  if (idleMs > limits.errandIdleMs && !isKept) return 'done'
  // Who has just been heard need not be asked whether it lives.
  return silentMs >= limits.pingIntervalMs ? 'ping' : 'none'
}
