export { Agent } from './agent.ts'
export type { AgentOptions, ExporterOptions } from './options.ts'
export { Exporter } from './exporter.ts'
