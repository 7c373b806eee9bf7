export { formatNbdAddress, nbdUri, parseNbdAddress, type NbdAddress } from './address.ts'
export type { NbdExport } from './exports.ts'
export type { NbdLimits } from './nbd-limits.ts'
export { startNbdServer, type NbdServer, type NbdServerOptions } from './server.ts'
