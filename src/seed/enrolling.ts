import { BootswarmError } from '../base/index.ts'
import type { Store } from '../store/index.ts'
import {
  isCertifiable,
  issueCertificate,
  isTicketSecret,
  type EnrolmentRequest
} from '../swarm/index.ts'

/**
 * Signs a machine's certificate when its ticket is of this lab and has not expired, nor been used if
 * it was for one machine. Throws ERR_TICKET_INVALID or ERR_TICKET_USED with the line that the machine shows. `nowMs` is the time of day: of all clocks
 * in a lab only a seed's is trusted.
 */
export function enrolMachine(store: Store, request: EnrolmentRequest, nowMs: number): Uint8Array {
  const { peerId, name, expiresMs, secret, bound } = request
  if (!isTicketSecret(store.enrolSecret, expiresMs, secret, bound)) {
    throw new BootswarmError(
      'ERR_TICKET_INVALID',
      'the ticket is not of this lab; get a new one with: bootswarm ticket --store DIR'
    )
  }
  if (nowMs > expiresMs) {
    const when = new Date(expiresMs).toISOString()
    throw new BootswarmError(
      'ERR_TICKET_INVALID',
      `the ticket expired at ${when}; get a new one with: bootswarm ticket --store DIR`
    )
  }
  const certificate = { peerId, role: 'agent', name } as const
  if (!isCertifiable(certificate)) {
    throw new BootswarmError(
      'ERR_TICKET_INVALID',
      'the machine name is empty, too long or not text'
    )
  }
  // Last: a ticket that was refused for another reason has not been used.
  if (bound !== undefined && !store.useTicket(bound.nonce, { peerId, expiresMs, nowMs })) {
    throw new BootswarmError(
      'ERR_TICKET_USED',
      `the ticket for machine ${bound.machine} has been used by another machine; boot this one again for a ticket of its own`
    )
  }
  return issueCertificate(store.lab, certificate)
}
