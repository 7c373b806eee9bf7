export { NbdClient } from './client.ts'
export { formatNbdAddress, nbdUri, parseNbdAddress, type NbdAddress } from './address.ts'
export type { NbdExport, NbdExports } from './exports.ts'
export type { NbdLimits } from './nbd-limits.ts'
export { checkNbdAddress, startNbdServer, type NbdServer, type NbdServerOptions } from './server.ts'
export { listen, type Listening } from './listener.ts'
export { loadNbdTls, type NbdTls, type NbdTlsOptions } from './tls.ts'
export { withReadTimeout } from './read-timeout.ts'
export {
  deadConnectionSecondsDefault,
  KernelNbd,
  nbdDeviceIndex,
  type AttachOptions
} from './kernel-device.ts'
