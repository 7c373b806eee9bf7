import { join } from 'node:path'
import { parseMachineId, type Logger } from '../base/index.ts'
import { idOfCidText, parseImageName } from '../image/index.ts'
import type { MachineStatus, SeedStatus } from '../control/index.ts'
import { checkBootFolder, hashInName, readBootFiles, type BootFiles } from './boot-folder.ts'
import { deployScript, entryScript, localScript, refusalScript } from './boot-script.ts'
import { startFileServer, type Answer, type Asker, type FileServer } from './file-server.ts'
import { peersWith } from './herd.ts'
import type { Machinery } from './machine-settings.ts'

export interface BootServerInit {
  /** What `writeBootFolder` has made; a newer build in it is served from the next script on. */
  readonly folder: string
  readonly http: { readonly host: string; readonly port: number }
  readonly machinery: Machinery
  /** Machines that no option and no file names get nothing. */
  readonly onlyListed: boolean
  /** What a script names other machines for: only the archive is checked by whoever loads it. */
  readonly peers: 'none' | 'archive' | 'all'
  /** How machines reach this server, `http://HOST:PORT`; by default as they did. */
  readonly advertise?: string
  /** A folder with builds of iPXE, such as ipxe.efi and undionly.kpxe. */
  readonly ipxeFolder?: string
  /** What the seed knows; undefined while it does not run. */
  readonly status: () => Promise<SeedStatus | undefined>
  /** A ticket for one boot of a machine. */
  readonly ticket: (machine: string, status: SeedStatus | undefined) => Promise<string>
  readonly onScript: (machine: string, kind: 'deploy' | 'local' | 'refused', why?: string) => void
  readonly logger: Logger
}

/** Gives every machine that asks the script that is right for it now, and the files in it. */
export class BootServer {
  readonly #init: BootServerInit
  #server!: FileServer
  #turn = 0

  /** ERR_FILE_MISSING, ERR_NETBOOT_INVALID for the folder; ERR_ADDRESS_IN_USE, ERR_ADDRESS_INVALID. */
  static async start(init: BootServerInit): Promise<BootServer> {
    await checkBootFolder(init.folder)
    const server = new BootServer(init)
    server.#server = await startFileServer({
      ...init.http,
      option: '--http',
      answer: (path, query, asker) => server.#answer(path, query, asker),
      logger: init.logger
    })
    return server
  }

  private constructor(init: BootServerInit) {
    this.#init = init
  }

  get port(): number {
    return this.#server.port
  }

  close(): Promise<void> {
    return this.#server.close()
  }

  async #answer(path: string, query: URLSearchParams, asker: Asker): Promise<Answer | undefined> {
    if (path === '/boot.ipxe') return { kind: 'text', text: entryScript() }
    if (path === '/machine.ipxe') return { kind: 'text', text: await this.#script(query, asker) }
    const name = path.slice(1)
    const { folder, ipxeFolder } = this.#init
    if (name === 'netboot.json') return { kind: 'file', path: join(folder, name), tag: undefined }
    const tag = hashInName(name)
    if (tag !== undefined) return { kind: 'file', path: join(folder, name), tag }
    const isIpxe = /^[a-z0-9][a-z0-9._-]{0,60}\.(efi|kpxe|pxe)$/.test(name)
    if (!isIpxe || ipxeFolder === undefined) return undefined
    return { kind: 'file', path: join(ipxeFolder, name), tag: undefined }
  }

  async #script(query: URLSearchParams, asker: Asker): Promise<string> {
    const ids = ['mac', 'uuid'].flatMap(name => parseMachineId(query.get(name) ?? '') ?? [])
    const [id] = ids
    if (id === undefined)
      return this.#refuse('?', 'this machine says neither its address nor a UUID')
    try {
      return await this.#scriptFor(id, ids, asker)
    } catch (error) {
      this.#init.logger.warn('no script for a machine', { machine: id, error })
      return this.#refuse(id, 'the server has no script for it, and its log says why')
    }
  }

  async #scriptFor(id: string, ids: readonly string[], asker: Asker): Promise<string> {
    const { machinery, onlyListed, folder, advertise, onScript } = this.#init
    const { settings, isListed } = machinery.of(ids)
    if (onlyListed && !isListed) return this.#refuse(id, `machine ${id} is not listed`)
    const { image, disk, ...rest } = settings
    if (image === undefined || disk === undefined) {
      const missing = image === undefined ? 'image' : 'disk'
      return this.#refuse(id, `nothing says which ${missing} machine ${id} is to use`)
    }
    const status = await this.#init.status()
    const machines = status?.machines ?? []
    if (rest.writes === 'keep' && isDone(ids, imageOf(image, status), machines)) {
      onScript(id, 'local')
      return localScript(id)
    }
    const files: BootFiles = await readBootFiles(folder)
    const turn = this.#turn++
    const script = deployScript({
      id,
      settings: { image, disk, ...rest },
      ticket: await this.#init.ticket(id, status),
      files,
      server: advertise ?? asker.server,
      peersWith: name =>
        this.#init.peers === 'all' ||
        (this.#init.peers === 'archive' && name === files.archive.name)
          ? peersWith(name, machines, asker.address, turn)
          : []
    })
    onScript(id, 'deploy')
    return script
  }

  #refuse(id: string, why: string): string {
    this.#init.onScript(id, 'refused', why)
    return refusalScript(why)
  }
}

/** The CID of what a name means at the seed now. */
function imageOf(image: string, status: SeedStatus | undefined): string | undefined {
  if (idOfCidText(image) !== undefined) return image
  const wanted = parseImageName(image)
  return status?.images.find(({ name, tag }) => name === wanted.name && tag === wanted.tag)?.cid
}

/** Whether the machine that was heard of last under one of these ids had its disk complete with it. */
function isDone(
  ids: readonly string[],
  image: string | undefined,
  machines: readonly MachineStatus[]
): boolean {
  const same = machines.filter(machine => machine.ids?.some(id => ids.includes(id)) === true)
  const [last] = same.sort((a, b) => a.seenSecondsAgo - b.seenSecondsAgo)
  return image !== undefined && last?.completeWith === image
}
