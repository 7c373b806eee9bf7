import { createHash, hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readFile, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { BootswarmError, limits, systemErrorCode } from '../base/index.ts'
import { fileError, replaceFile } from '../image/index.ts'
import { archiveName, architectures, type Architecture } from './agent-archive.ts'
import { appendArchive, cpioOf } from './cpio.ts'

/** A file that machines load, under a name that holds the hash of its bytes. */
export interface BootFile {
  readonly name: string
  /** In hexadecimal. */
  readonly sha256: string
  readonly bytes: number
}

/** What a netboot folder holds; its manifest, `netboot.json`, is written after all that it names. */
export interface BootFiles {
  readonly arch: Architecture
  readonly kernel: BootFile
  readonly firstStage: BootFile
  readonly archive: BootFile
}

export interface BootFolderInput {
  readonly folder: string
  readonly arch: Architecture
  readonly kernel: Uint8Array
  readonly initrd: Uint8Array
  readonly archive: Uint8Array
}

const manifestName = 'netboot.json'
const format = 'bootswarm-netboot'
const version = 1
/** Of `netboot.json`. */
export const manifestBytesMax = 64 * 1024

/** Where the first stage finds which archive to load; assignments that a POSIX shell can read. */
const configurationPath = 'etc/bootswarm/netboot.conf'

/**
 * Writes what machines load into a folder, made if absent, as one step: a reader of its manifest sees
 * all of the old or all of the new. What neither names is deleted; the old stays for those who are
 * loading it.
 */
export async function writeBootFolder(input: BootFolderInput): Promise<BootFiles> {
  const { folder, arch } = input
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw fileError(error, folder)
  })
  const former = await readBootFiles(folder).catch(() => undefined)
  const archive = describe(input.archive, archiveName)
  const stage = firstStage(input.initrd, archive)
  const files = {
    arch,
    kernel: describe(input.kernel, sha256 => `kernel-${sha256}`),
    firstStage: describe(stage, sha256 => `initrd-${sha256}`),
    archive
  }
  await replaceFile(join(folder, files.kernel.name), input.kernel, 0o644)
  await replaceFile(join(folder, files.firstStage.name), stage, 0o644)
  await replaceFile(join(folder, files.archive.name), input.archive, 0o644)
  const manifest = JSON.stringify({ format, version, ...files }, undefined, 2)
  await replaceFile(join(folder, manifestName), Buffer.from(`${manifest}\n`), 0o644)
  await clear(folder, [files, former])
  return files
}

/** An initramfs that knows its agent archive by hash and size (docs/netboot.md). */
export function firstStage(initrd: Uint8Array, archive: BootFile): Buffer {
  const text =
    `BOOTSWARM_ARCHIVE_SHA256=${archive.sha256}\n` +
    `BOOTSWARM_ARCHIVE_BYTES=${archive.bytes}\n` +
    `BOOTSWARM_ARCHIVE_NAME=${archive.name}\n`
  const entry = { path: configurationPath, mode: 0o644, bytes: Buffer.from(text) }
  return appendArchive(initrd, cpioOf([entry]))
}

/** What the manifest of a folder says; ERR_FILE_MISSING, ERR_NETBOOT_INVALID, ERR_FORMAT_VERSION. */
export async function readBootFiles(folder: string): Promise<BootFiles> {
  const path = join(folder, manifestName)
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (systemErrorCode(error) !== 'ENOENT') throw fileError(error, path)
    throw new BootswarmError(
      'ERR_FILE_MISSING',
      `${path} does not exist; make it with: bootswarm netboot build --out ${folder}`
    )
  })
  return parseBootFiles(text, path)
}

/** `where` is named in errors; ERR_NETBOOT_INVALID, ERR_FORMAT_VERSION. */
export function parseBootFiles(text: string, where: string): BootFiles {
  const fields = fieldsOf(text)
  if (fields?.format !== format) throw invalid(where, 'is no manifest of a netboot folder')
  if (fields.version !== version) {
    throw new BootswarmError(
      'ERR_FORMAT_VERSION',
      `${where} has format ${String(fields.version)}, this bootswarm reads ${version}; build it again`
    )
  }
  const arch = architectures.find(known => known === fields.arch)
  const kernel = fileOf(fields.kernel, 'kernel-')
  const first = fileOf(fields.firstStage, 'initrd-')
  const archive = fileOf(fields.archive, 'agent-')
  if (arch !== undefined && kernel !== undefined && first !== undefined && archive !== undefined) {
    return { arch, kernel, firstStage: first, archive }
  }
  throw invalid(where, 'names a file in a way that cannot be')
}

/** Reads the manifest and hashes every file that it names. ERR_NETBOOT_INVALID names one that is not so. */
export async function checkBootFolder(folder: string): Promise<BootFiles> {
  const files = await readBootFiles(folder)
  for (const file of [files.kernel, files.firstStage, files.archive]) {
    const path = join(folder, file.name)
    if ((await hashOfFile(path)) !== file.sha256) throw invalid(path, 'is damaged')
  }
  return files
}

/** The name's own hash, of any file of a netboot folder; undefined for a name of another shape. */
export function hashInName(name: string): string | undefined {
  return /^(?:kernel-([0-9a-f]{64})|initrd-([0-9a-f]{64})|agent-([0-9a-f]{64})\.tar\.zst)$/
    .exec(name)
    ?.slice(1)
    .find(found => found !== undefined)
}

/** sha2-256 in hexadecimal. Rejects as fileError says. */
export async function hashOfFile(path: string): Promise<string> {
  const digest = createHash('sha256')
  try {
    await pipeline(createReadStream(path), digest)
  } catch (error) {
    throw fileError(error, path)
  }
  return digest.digest('hex')
}

/** A kernel, initramfs or archive that somebody named; `kind` says by its first bytes what it must be. */
export async function readBootInput(path: string, kind: InputKind): Promise<Buffer> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw fileError(error, path)
  })
  try {
    const { size } = await handle.stat()
    if (size > limits.netbootFileBytesMax) throw unfit(path, kind, `has ${size} bytes, too many`)
    const bytes = await handle.readFile()
    if (!looksLike[kind](bytes)) throw unfit(path, kind, `is no ${kind}`)
    return bytes
  } catch (error) {
    throw fileError(error, path)
  } finally {
    await handle.close()
  }
}

export type InputKind = 'Linux kernel' | 'initramfs' | 'agent archive'

const zstdMagic = '28b52ffd'
/** Of what a Linux kernel can unpack: cpio, gzip, bzip2, lzma, xz, lzo, lz4, zstd. */
const initramfsMagics = [
  ...['303730373031', '303730373032', '1f8b', '425a68', '5d0000', 'fd377a585a00'],
  ...['894c5a4f', '02214c18', zstdMagic]
]

const looksLike: Readonly<Record<InputKind, (bytes: Buffer) => boolean>> = {
  // x86: "HdrS" of the boot protocol; arm64: "ARM\x64", or a compressed one in an EFI program.
  'Linux kernel': bytes =>
    bytes.toString('latin1', 0x202, 0x206) === 'HdrS' ||
    bytes.toString('latin1', 56, 60) === 'ARM\x64' ||
    bytes.toString('latin1', 0, 2) === 'MZ',
  initramfs: bytes => initramfsMagics.some(magic => startsWith(bytes, magic)),
  'agent archive': bytes => startsWith(bytes, zstdMagic)
}

function startsWith(bytes: Buffer, magic: string): boolean {
  return bytes.toString('hex', 0, magic.length / 2) === magic
}

function describe(bytes: Uint8Array, nameOf: (sha256: string) => string): BootFile {
  const sha256 = hash('sha256', bytes, 'hex')
  return { name: nameOf(sha256), sha256, bytes: bytes.length }
}

async function clear(folder: string, kept: readonly (BootFiles | undefined)[]): Promise<void> {
  const names = kept.flatMap(files =>
    files === undefined ? [] : [files.kernel.name, files.firstStage.name, files.archive.name]
  )
  for (const name of await readdir(folder)) {
    const isOld = hashInName(name) !== undefined && !names.includes(name)
    if (isOld) await rm(join(folder, name), { force: true })
  }
}

function fieldsOf(text: string): Record<string, unknown> | undefined {
  if (text.length > manifestBytesMax) return undefined
  try {
    const fields: unknown = JSON.parse(text)
    return typeof fields === 'object' && fields !== null
      ? (fields as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function fileOf(value: unknown, prefix: string): BootFile | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { name, sha256, bytes } = value as Record<string, unknown>
  if (typeof name !== 'string' || typeof sha256 !== 'string') return undefined
  const isNamed = name.startsWith(prefix) && hashInName(name) === sha256
  const isSized = typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes > 0
  return isNamed && isSized ? { name, sha256, bytes } : undefined
}

const optionFor: Readonly<Record<InputKind, string>> = {
  'Linux kernel': '--kernel',
  initramfs: '--initrd',
  'agent archive': '--archive'
}

function unfit(path: string, kind: InputKind, why: string): BootswarmError {
  return new BootswarmError(
    'ERR_NETBOOT_INVALID',
    `${path} ${why}; name another with ${optionFor[kind]}`
  )
}

function invalid(path: string, why: string): BootswarmError {
  return new BootswarmError(
    'ERR_NETBOOT_INVALID',
    `${basename(path)} ${why} (${path}); build it again with: bootswarm netboot build`
  )
}
