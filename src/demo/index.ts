export { bootReads } from './boot-reads.ts'
export { buildDemoImage } from './build-image.ts'
export { runDemo, type DemoResult } from './demo.ts'
export type { MachineResult } from './machine.ts'
