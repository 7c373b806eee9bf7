import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BuildOptions, Plugin } from 'esbuild'
import { BootswarmError } from '../base/index.ts'

/** Where the sources and packages are that an archive is made of: a checkout. */
export const projectFolder = fileURLToPath(new URL('../..', import.meta.url))

export interface Bundle {
  /** A function of `require`, `module`, `exports` and `import.meta.url`, as program-start.cjs calls it. */
  readonly code: Buffer
  /** Folders of the packages whose code is in it, in their order. */
  readonly packages: readonly string[]
}

/** koffi's own way for bundlers: what it imports here is the library that lies beside the bundle. */
const koffiBesideBundle: Plugin = {
  name: 'koffi-beside-bundle',
  setup(build) {
    build.onLoad({ filter: /koffi[/\\]src[/\\]koffi[/\\]src[/\\]static\.js$/ }, () => ({
      contents: "export const loadStatic = () => require('./koffi.node')"
    }))
  }
}

/**
 * The locks that libp2p's peer store takes from mortice, in that package's own variant for one process: the other
 * loads node:cluster and opens a channel to other threads, a twentieth of an agent's start, and no other process or
 * thread of ours has a peer store.
 */
const locksOfOneProcess: Plugin = {
  name: 'locks-of-one-process',
  setup(build) {
    build.onLoad({ filter: /mortice[/\\]dist[/\\]src[/\\]node\.js$/ }, () => ({
      contents: "export { default } from './react-native.js'"
    }))
  }
}

/**
 * All in one piece, and CommonJS: Node asks each module of its own that an ES module imports for everything that it
 * exports, and loads what it would otherwise load when it is first used; and the code cache of an ES module is one for
 * processors like the one that made it. What is imported with import() runs when it is asked for, as it would.
 */
const options = {
  absWorkingDir: projectFolder,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node24',
  // Names stay, so that a log of a machine can be read.
  minifyWhitespace: true,
  minifySyntax: true,
  // Licences are files of the archive.
  legalComments: 'none',
  define: { 'import.meta.url': 'bootswarmUrl' },
  // esbuild makes bundles and is not part of them.
  external: ['esbuild', './koffi.node'],
  plugins: [koffiBesideBundle, locksOfOneProcess],
  metafile: true,
  write: false,
  logLevel: 'silent'
} as const satisfies BuildOptions

/** A source of this checkout with all that it imports. ERR_TOOL_MISSING. */
export async function bundle(source: string): Promise<Bundle> {
  const { build } = await import('esbuild').catch((cause: unknown) => {
    throw new BootswarmError(
      'ERR_TOOL_MISSING',
      'an agent archive is built by a checkout of bootswarm with its packages, and this is none; give a built one with --archive',
      { cause }
    )
  })
  const { outputFiles, metafile } = await build({ ...options, entryPoints: [source] })
  const text = outputFiles[0]?.text ?? ''
  return {
    code: Buffer.from(`(function(require,module,exports,bootswarmUrl){${text}\n})`),
    packages: packagesOf(Object.keys(metafile.inputs))
  }
}

function packagesOf(inputs: readonly string[]): string[] {
  const folders = inputs.flatMap(path => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? [])
  return [...new Set(folders)].sort().map(folder => join(projectFolder, folder))
}

export function readProjectFile(path: string): Promise<Buffer> {
  return readFile(join(projectFolder, path))
}
