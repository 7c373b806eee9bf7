export {
  isCertifiable,
  issueCertificate,
  openCertificate,
  type Certificate
} from './certificate.ts'
export { openCompletion, signCompletion, type CompletionReport } from './completion-report.ts'
export { Downloads, type DownloadHandlers } from './downloads.ts'
export type { EnrolmentRequest } from './enrolment.ts'
export type { FrameSource } from './frame-source.ts'
export type { Link } from './link.ts'
export { peerIdOf } from './node.ts'
export { isLocation } from './place.ts'
export { Swarm, type SwarmHandlers } from './swarm.ts'
export { decodeTicket, encodeTicket, isTicketSecret, newBinding, ticketSecret } from './ticket.ts'
export type { Binding, Ticket } from './ticket.ts'
export { Uploads } from './uploads.ts'
export {
  haveItemsMax,
  haveMapBytesMax,
  protocolVersion,
  type MachineReport,
  type Message,
  type PeerAddress,
  type RefusalReason
} from './wire.ts'
