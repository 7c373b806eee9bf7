import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import { BootswarmError, systemErrorCode } from '../base/index.ts'
import type { ArchiveEntry } from './archive-entry.ts'
import { bundle, projectFolder, readProjectFile } from './bundle.ts'
import { codeCacheOf } from './code-cache.ts'
import { withoutSymbols } from './elf.ts'
import { withoutLocales } from './icu-data.ts'
import { launcherFor } from './launcher.ts'
import { licencesOf } from './licences.ts'
import { tarOf } from './tar.ts'

export const architectures = ['x64', 'arm64'] as const
export type Architecture = (typeof architectures)[number]

export interface ArchiveOptions {
  readonly arch: Architecture
  /** A node_modules with the runtime of that architecture; by default the checkout's own. */
  readonly packages?: string
  /** zstd's, 1 to 22: how small it gets, and how long that takes. */
  readonly level?: number
}

export interface AgentArchive {
  /** `agent-<sha256>.tar.zst` */
  readonly name: string
  /** Of the file, in hexadecimal. */
  readonly sha256: string
  readonly bytes: Buffer
  /** What it unpacks to. */
  readonly unpackedBytes: number
}

/** Of 110 MB: level 22 with a window of 128 MiB saves 1 % more and asks a small machine for all of it. */
const levelDefault = 19
/** 8 MiB, which is what whoever unpacks it needs in memory. */
const windowLog = 23

/**
 * The agent as one file: Node without its symbols and languages, this program bundled, and the licences of
 * both (docs/netboot.md). The same checkout gives the same bytes. ERR_TOOL_MISSING.
 */
export async function buildAgentArchive(options: ArchiveOptions): Promise<AgentArchive> {
  const entries = await archiveEntries(options)
  const tar = tarOf(entries.map(entry => ({ ...entry, path: `bootswarm/${entry.path}` })))
  const bytes = await promisify(zstdCompress)(tar, {
    params: {
      [constants.ZSTD_c_compressionLevel]: options.level ?? levelDefault,
      [constants.ZSTD_c_windowLog]: windowLog,
      // What damaged it is noticed while it is unpacked, too.
      [constants.ZSTD_c_checksumFlag]: 1
    },
    pledgedSrcSize: tar.length
  })
  const sha256 = hash('sha256', bytes, 'hex')
  return { name: archiveName(sha256), sha256, bytes, unpackedBytes: tar.length }
}

const programs = { bootswarm: 'src/cli/main.ts', 'hand-over': 'bootstrap/hand-over.ts' }
const starter = 'src/netboot/program-start.cjs'
const workers = [
  'src/disk/write-worker.js',
  'src/image/encode-worker.js',
  'src/image/verify-worker.js'
]

export function archiveName(sha256: string): string {
  return `agent-${sha256}.tar.zst`
}

async function archiveEntries({ arch, packages }: ArchiveOptions): Promise<ArchiveEntry[]> {
  const folder = packages ?? join(projectFolder, 'node_modules')
  const runtime = join(folder, `node-linux-${arch}`)
  const library = join(folder, `@koromix/koffi-linux-${arch}`)
  const node = await readPackage(arch, join(runtime, 'bin/node'))
  const native = await readPackage(arch, join(library, `linux_${arch}/koffi.node`))
  const small = smallRuntime(node, join(runtime, 'bin/node'))
  const launcher = await readProjectFile('bin/bootswarm')
  const { files, packages: packed } = await programFiles()
  const lib = [
    ...files,
    file('lib/koffi.node', native),
    ...(await Promise.all(workers.map(workerFile))),
    file('lib/package.json', Buffer.from('{"type":"module"}\n'))
  ]
  // Only that processor's own Node can make it. Without it an agent starts as well, later.
  const caches =
    arch === process.arch
      ? [file('lib/bootswarm.cache', await codeCacheOf(small, lib, launcher.toString()))]
      : []
  const bundled = new Set([...packed, library, runtime].sort())
  const own = ['LICENSE', 'LICENSE-APACHE', 'LICENSE-MIT']
  return [
    executable('bin/node', small),
    executable('bin/launch', launcherFor(arch)),
    executable('bin/bootswarm', launcher),
    ...lib,
    ...caches,
    ...(await Promise.all(own.map(async name => inLicences(name, await readProjectFile(name))))),
    ...(await licencesOf(bundled)).map(({ path, bytes }) => inLicences(path, bytes))
  ]
}

async function programFiles(): Promise<{ files: ArchiveEntry[]; packages: string[] }> {
  const start = await readProjectFile(starter)
  const bundles = await Promise.all(
    Object.entries(programs).map(async ([name, source]) => ({ name, ...(await bundle(source)) }))
  )
  return {
    files: bundles.flatMap(({ name, code }) => [
      file(`lib/${name}.cjs`, start),
      file(`lib/${name}.code`, code)
    ]),
    packages: bundles.flatMap(({ packages }) => packages)
  }
}

function smallRuntime(node: Buffer, path: string): Buffer {
  return withoutLocales(withoutSymbols(node, path), path)
}

/** A worker is a file of its own, beside the module that starts it. */
async function workerFile(path: string): Promise<ArchiveEntry> {
  return file(`lib/${basename(path)}`, await readProjectFile(path))
}

function file(path: string, bytes: Uint8Array): ArchiveEntry {
  return { path, mode: 0o644, bytes }
}

function executable(path: string, bytes: Uint8Array): ArchiveEntry {
  return { path, mode: 0o755, bytes }
}

function inLicences(path: string, bytes: Uint8Array): ArchiveEntry {
  return file(`licences/${path}`, bytes)
}

async function readPackage(arch: Architecture, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    if (systemErrorCode(cause) !== 'ENOENT') throw cause
    const names = `node-linux-${arch} and @koromix/koffi-linux-${arch}`
    throw new BootswarmError(
      'ERR_TOOL_MISSING',
      `${path} is missing: install ${names} for that architecture, each in the version of package-lock.json, with npm install --force --cpu=${arch} in a folder of its own, and name its node_modules with --packages`,
      { cause }
    )
  }
}
