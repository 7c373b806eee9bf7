import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BuildOptions, Plugin } from 'esbuild'
import { BootswarmError } from '../base/index.ts'

/** Where the sources and packages are that an archive is made of: a checkout. */
export const projectFolder = fileURLToPath(new URL('../..', import.meta.url))

export interface Bundle {
  readonly code: Uint8Array
  /** Folders of the packages whose code is in it, in their order. */
  readonly packages: readonly string[]
}

/** CommonJS packages call `require` for modules of Node, which an ES module does not have. */
const banner =
  "import{createRequire as bootswarmRequire}from'node:module';const require=bootswarmRequire(import.meta.url);"

/** koffi's own way for bundlers: what it imports here is the library that lies beside the bundle. */
const koffiBesideBundle: Plugin = {
  name: 'koffi-beside-bundle',
  setup(build) {
    build.onLoad({ filter: /koffi[/\\]src[/\\]koffi[/\\]src[/\\]static\.js$/ }, () => ({
      contents: `import { createRequire } from 'node:module'
        export const loadStatic = () => createRequire(import.meta.url)('./koffi.node')`
    }))
  }
}

const options: BuildOptions = {
  absWorkingDir: projectFolder,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  // Names stay, so that a log of a machine can be read.
  minifyWhitespace: true,
  minifySyntax: true,
  // Licences are files of the archive.
  legalComments: 'none',
  banner: { js: banner },
  // It makes bundles and is not part of them.
  external: ['esbuild'],
  plugins: [koffiBesideBundle],
  metafile: true,
  write: false,
  logLevel: 'silent'
}

/** One ES module of a source of this checkout and of all that it imports. ERR_TOOL_MISSING. */
export async function bundle(entry: string): Promise<Bundle> {
  const { build } = await import('esbuild').catch((cause: unknown) => {
    throw new BootswarmError(
      'ERR_TOOL_MISSING',
      'an agent archive is built by a checkout of bootswarm with its packages, and this is none; give a built one with --archive',
      { cause }
    )
  })
  const result = await build({ ...options, entryPoints: [join(projectFolder, entry)] })
  const [output] = result.outputFiles ?? []
  if (output === undefined) throw new BootswarmError('ERR_INTERNAL', `no bundle of ${entry}`)
  return {
    code: output.contents,
    packages: packagesOf(Object.keys(result.metafile?.inputs ?? {}))
  }
}

function packagesOf(inputs: readonly string[]): string[] {
  const folders = inputs.flatMap(path => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? [])
  return [...new Set(folders)].sort().map(folder => join(projectFolder, folder))
}

export function readProjectFile(path: string): Promise<Buffer> {
  return readFile(join(projectFolder, path))
}
