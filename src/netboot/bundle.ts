import { readFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BuildOptions, Plugin } from 'esbuild'
import { BootswarmError } from '../base/index.ts'

/** Where the sources and packages are that an archive is made of: a checkout. */
export const projectFolder = fileURLToPath(new URL('../..', import.meta.url))

export interface Bundle {
  /** The modules, side by side in one folder: those asked for, and what they share or load later. */
  readonly files: readonly { readonly name: string; readonly code: Uint8Array }[]
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

/**
 * Modules of Node by require: for an import Node asks each for everything that it exports, and of node:http that
 * loads a whole HTTP client. A fifth of what an agent needed to load was that.
 */
const builtinsByRequire: Plugin = {
  name: 'builtins-by-require',
  setup(build) {
    build.onResolve({ filter: /^[a-z][a-z0-9_/:]*$/ }, ({ path }) =>
      isBuiltin(path) ? { path: path.replace(/^node:/, ''), namespace: 'builtin' } : undefined
    )
    build.onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('node:${path}')`
    }))
  }
}

const options: BuildOptions = {
  absWorkingDir: projectFolder,
  bundle: true,
  // What a process does not use it does not load: attach is a twentieth of all, and the machine waits for it.
  splitting: true,
  outdir: projectFolder,
  outExtension: { '.js': '.mjs' },
  chunkNames: '[name]-[hash]',
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
  plugins: [koffiBesideBundle, builtinsByRequire],
  metafile: true,
  write: false,
  logLevel: 'silent'
}

/** ES modules, `NAME.mjs` of each source of this checkout that is named, with all that they import. ERR_TOOL_MISSING. */
export async function bundle(sources: Readonly<Record<string, string>>): Promise<Bundle> {
  const { build } = await import('esbuild').catch((cause: unknown) => {
    throw new BootswarmError(
      'ERR_TOOL_MISSING',
      'an agent archive is built by a checkout of bootswarm with its packages, and this is none; give a built one with --archive',
      { cause }
    )
  })
  const result = await build({ ...options, entryPoints: { ...sources } })
  return {
    files: (result.outputFiles ?? []).map(({ path, contents }) => ({
      name: basename(path),
      code: contents
    })),
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
