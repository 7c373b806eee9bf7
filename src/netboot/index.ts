export { architectures, buildAgentArchive } from './agent-archive.ts'
export type { AgentArchive, Architecture } from './agent-archive.ts'
export { replaceFile } from './files.ts'
export { launcherFor } from './launcher.ts'
