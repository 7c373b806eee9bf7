export { startControlApi, type ControlApi } from './api.ts'
export { askSeed, controlSocketPath } from './client.ts'
export { Machines } from './machines.ts'
export type { MachineStatus, SeedStatus } from './status.ts'
