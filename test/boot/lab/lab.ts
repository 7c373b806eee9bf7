import { mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitForEvent } from '../bootswarm.ts'
import { buildImage, type BuiltImage, type Recipe } from '../image.ts'
import { run, sameAddresses, start, type Life, type RunningProcess } from '../processes.ts'
import { Machine, type MachineOptions } from './machine.ts'
import { LabNetwork } from './network.ts'

const program = fileURLToPath(new URL('../../../bin/bootswarm', import.meta.url))
const keptForReaders = fileURLToPath(new URL('../../../build/boot/', import.meta.url))
const gib = 1024 ** 3
const filesPort = 8080
const seedPort = 7001

const debianRoot = 'UUID=0c2d3d9e-7f0a-4b55-9a53-6a1d6b1f0c12'

/** What a boot loader on the disk of a machine, with `debian-12` unless `root` says otherwise, would tell its kernel. */
export function ownDiskArguments(root = debianRoot): string {
  return `root=${root} ro console=ttyS0 bootswarm.console=root ${sameAddresses}`
}

/** What a whole lab needs: a network, a seed with an image, and machines that boot from both. */
export class Lab {
  readonly directory: string
  readonly network: LabNetwork
  readonly image: BuiltImage
  readonly imageName: Recipe
  seed!: RunningProcess
  readonly #t: Life
  #ticket = ''
  #archive = ''
  #machines = 0
  #disks = 0
  readonly #startedAt = performance.now()

  private constructor(
    t: Life,
    directory: string,
    network: LabNetwork,
    image: BuiltImage,
    imageName: Recipe
  ) {
    this.#t = t
    this.directory = directory
    this.network = network
    this.image = image
    this.imageName = imageName
  }

  static async make(t: Life, recipe: Recipe = 'debian-12'): Promise<Lab> {
    const directory = await mkdtemp(join(tmpdir(), 'bootswarm-lab-'))
    t.teardown(() => rm(directory, { recursive: true, force: true }))
    await mkdir(join(directory, 'files'))
    const network = await LabNetwork.make(t, directory)
    const image = await buildImage(recipe, directory)
    const lab = new Lab(t, directory, network, image, recipe)
    lab.note('image built')
    await lab.#import()
    await lab.startSeed()
    lab.#ticket = await lab.makeTicket()
    lab.#archive = await sharedArchive()
    for (const [name, file] of [
      ['vmlinuz', image.kernel],
      ['initrd.img', image.initrd],
      [`agent-${archiveHash(lab.#archive)}.tar.zst`, lab.#archive]
    ] as const) {
      await symlink(file, join(directory, 'files', name))
    }
    const url = await network.serveFiles(join(directory, 'files'), filesPort)
    await network.startDhcp(lab.bootScript(url, lab.arguments()))
    lab.note('lab is ready')
    return lab
  }

  /** The agent archive that its machines load. */
  get archive(): string {
    return this.#archive
  }

  get store(): string {
    return join(this.directory, 'store')
  }

  note(what: string): void {
    this.#t.log(`${((performance.now() - this.#startedAt) / 1000).toFixed(1)} s: ${what}`)
  }

  /** Waits for the login prompt of a machine, notes it, and logs in. */
  async logIn(machine: Machine, { as = 'login prompt', timeoutMs = 600_000 } = {}): Promise<void> {
    await machine.shows('debian login: ', timeoutMs)
    this.note(as)
    await machine.guest.logIn()
  }

  async makeTicket(...more: string[]): Promise<string> {
    return (await run(program, ['ticket', '--store', this.store, ...more])).trim()
  }

  /** With --upload-rate, for instance, it takes its time. */
  async startSeed(...more: string[]): Promise<void> {
    const listen = [
      '--listen',
      `/ip4/${LabNetwork.address}/tcp/${seedPort}`,
      '--http',
      '127.0.0.1:0'
    ]
    const args = ['seed', '--store', this.store, ...listen, ...more, '--json']
    this.seed = this.network.start('seed', program, args)
    await waitForEvent(this.seed, 'ready', 120_000)
  }

  /** What the first stage is told; `changed` wins, and takes an argument away with ''. */
  arguments(changed: Readonly<Record<string, string>> = {}): string {
    const told: Record<string, string> = {
      ip: 'dhcp',
      console: 'ttyS0',
      'bootswarm.ticket': this.#ticket,
      'bootswarm.image': this.imageName,
      'bootswarm.archive': archiveHash(this.#archive),
      'bootswarm.from': `http://${LabNetwork.address}:${filesPort}`,
      'bootswarm.console': 'root',
      ...changed
    }
    const words = Object.entries(told).flatMap(([name, value]) =>
      value === '' ? [] : [`${name}=${value}`]
    )
    return ['ro', sameAddresses, ...words].join(' ')
  }

  bootScript(url: string, args: string): string {
    return ['#!ipxe', `kernel ${url}/vmlinuz ${args}`, `initrd ${url}/initrd.img`, 'boot', ''].join(
      '\n'
    )
  }

  async emptyDisk(name: string, bytes = 6 * gib): Promise<string> {
    const path = join(this.directory, `${name}.img`)
    await writeFile(path, '')
    await truncate(path, bytes)
    return path
  }

  /**
   * A disk with a cache that a loss of power empties: what nobody flushed is gone. The drive for a machine,
   * and what takes the power away.
   */
  async cachedDisk(path: string): Promise<{ drive: string; cutPower: () => Promise<void> }> {
    const socket = join(this.directory, `disk-${this.#machines}-${this.#disks++}.sock`)
    const args = ['-f', '-U', socket, '--filter=cache', 'file', path, 'cache=writeback']
    const server = start(this.#t, 'nbdkit', 'nbdkit', args)
    for (const end = Date.now() + 60_000; !existsSync(socket) && Date.now() < end;) await sleep(100)
    return {
      drive: `file=nbd+unix:///?socket=${socket},format=raw,cache=writeback`,
      cutPower: async () => {
        server.kill()
        await server.ended(60_000)
      }
    }
  }

  /** An agent without a machine, on the disk that a machine has left. */
  async startAgent(disk: string): Promise<RunningProcess> {
    // As a device, since an agent that has a file keeps its own things beside it.
    const device = (await run('losetup', ['--find', '--show', disk])).trim()
    this.#t.teardown(() => run('losetup', ['--detach', device]))
    const what = ['--ticket', this.#ticket, '--image', this.imageName, '--disk', device]
    const nbd = ['--nbd', `unix:${join(this.directory, 'agent.sock')}`]
    return this.network.start('agent', program, ['agent', ...what, ...nbd, '--json'])
  }

  /** Its console is kept when the test fails. */
  async startMachine(options: Omit<MachineOptions, 'consoleFile'>): Promise<Machine> {
    await mkdir(keptForReaders, { recursive: true })
    const consoleFile = join(keptForReaders, `lab-${process.pid}-${this.#machines++}.txt`)
    this.#t.teardown(async () => {
      if (this.#t.passed) return rm(consoleFile, { force: true })
      const text = await readFile(consoleFile, 'utf8').catch(() => '(the guest was not started)')
      this.#t.log(`A guest's console is in ${consoleFile} and ends with:\n${text.slice(-3000)}`)
    })
    return Machine.start(this.#t, { ...options, consoleFile })
  }

  async #import(): Promise<void> {
    await run(program, [
      'image',
      'import',
      this.image.disk,
      '--name',
      this.imageName,
      '--store',
      this.store,
      '--json'
    ])
    this.note('image imported')
  }
}

function archiveHash(path: string): string {
  return /agent-([0-9a-f]{64})/.exec(path)?.[1] ?? ''
}

let archive: Promise<string> | undefined

/** One build for all tests of a run; quickly compressed, since it does not go far. */
function sharedArchive(): Promise<string> {
  archive ??= mkdtemp(join(tmpdir(), 'bootswarm-archive-')).then(async folder => {
    process.once('exit', () => void rm(folder, { recursive: true, force: true }))
    const args = ['netboot', 'archive', '--out', folder, '--level', '3', '--json']
    return (JSON.parse(await run(program, args)) as { path: string }).path
  })
  return archive
}
