import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run, start, type Life, type RunningProcess } from '../processes.ts'

const fileServer = fileURLToPath(new URL('serve-files.ts', import.meta.url))

export interface Cable {
  /** The network device that a machine's card is joined to. */
  readonly tap: string
  unplug(): Promise<void>
  plugIn(): Promise<void>
  /** What comes to the machine goes no faster than this, in tc's words: `4mbit`. */
  slowDown(rate: string): Promise<void>
}

/** The lab's network is a namespace of its own: nothing of the host is seen there, nor it by the host. */
export class LabNetwork {
  static readonly address = '10.77.0.1'
  readonly #t: Life
  readonly #namespace: string
  readonly #directory: string
  #dhcp: RunningProcess | undefined
  #taps = 0

  private constructor(t: Life, namespace: string, directory: string) {
    this.#t = t
    this.#namespace = namespace
    this.#directory = directory
  }

  static async make(t: Life, directory: string): Promise<LabNetwork> {
    const namespace = `bootswarm-${randomBytes(4).toString('hex')}`
    await run('ip', ['netns', 'add', namespace])
    t.teardown(() => run('ip', ['netns', 'del', namespace]))
    const network = new LabNetwork(t, namespace, directory)
    await network.ip('link set lo up')
    await network.ip('link add br0 type bridge')
    await network.ip(`address add ${LabNetwork.address}/24 dev br0`)
    await network.ip('link set br0 up')
    return network
  }

  /** `ip` with these words, inside. */
  async ip(words: string): Promise<void> {
    await run('ip', ['-n', this.#namespace, ...words.split(' ')])
  }

  /** Starts a program inside. */
  start(name: string, command: string, args: string[], outputFile?: string): RunningProcess {
    const inside = ['netns', 'exec', this.#namespace, command, ...args]
    return start(this.#t, name, 'ip', inside, outputFile)
  }

  run(command: string, args: string[]): Promise<string> {
    return run('ip', ['netns', 'exec', this.#namespace, command, ...args])
  }

  /** A machine's cable in the lab's switch. */
  async plug(): Promise<Cable> {
    const tap = `tap${this.#taps++}`
    await this.ip(`tuntap add ${tap} mode tap`)
    await this.ip(`link set ${tap} master br0`)
    await this.ip(`link set ${tap} up`)
    const shape = `qdisc replace dev ${tap} root tbf burst 64kb latency 100ms rate`
    return {
      tap,
      unplug: () => this.ip(`link set ${tap} down`),
      plugIn: () => this.ip(`link set ${tap} up`),
      slowDown: async rate => {
        await run('tc', ['-n', this.#namespace, ...shape.split(' '), rate])
      }
    }
  }

  /** What the network card's iPXE runs from now on. */
  async serveScript(script: string): Promise<void> {
    await writeFile(join(this.#directory, 'boot.ipxe'), script)
  }

  /** DHCP, and TFTP of that script. */
  async startDhcp(script: string): Promise<void> {
    await this.serveScript(script)
    const dhcp = [
      '--dhcp-range=10.77.0.50,10.77.0.99,1h',
      '--dhcp-boot=boot.ipxe',
      '--dhcp-no-override'
    ]
    const files = ['--enable-tftp', `--tftp-root=${this.#directory}`, '--tftp-no-fail']
    const state = [
      '--no-ping',
      `--dhcp-leasefile=${join(this.#directory, 'leases')}`,
      '--pid-file=',
      '--user=root'
    ]
    const common = [
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      '--port=0',
      '--bind-interfaces'
    ]
    const where = ['--interface=br0', '--log-facility=-', '--log-dhcp']
    this.#dhcp = this.start('dnsmasq', 'dnsmasq', [
      ...common,
      ...where,
      ...dhcp,
      ...files,
      ...state
    ])
  }

  stopDhcp(): void {
    this.#dhcp?.kill()
  }

  /** Serves a folder by HTTP; its URL. */
  async serveFiles(folder: string, port: number): Promise<string> {
    const server = this.start('files', process.execPath, [fileServer, folder, String(port)])
    await server.waitFor('a file server', 60_000, output => output.includes('ready') || undefined)
    return `http://${LabNetwork.address}:${port}`
  }
}
