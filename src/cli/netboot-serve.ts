import { readFile, stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { BootswarmError, limits, secondsUp } from '../base/index.ts'
import { askSeed } from '../control/index.ts'
import { fileError } from '../image/index.ts'
import { BootServer, dnsmasqSnippets, Machinery, ownNetworks } from '../netboot/index.ts'
import { createLogger, type NetbootEvent } from '../observe/index.ts'
import { openBootTickets } from '../seed/index.ts'
import { choiceOf } from './choices.ts'
import { parseHostPort } from './host-port.ts'
import { imageNamed, withExistingStore } from './image-store.ts'
import { httpUrl } from './netboot-cache.ts'
import { printEvent, printLine, printNote } from './output.ts'
import { untilStopped } from './stop-signal.ts'
import { storeOption } from './store-option.ts'
import { parseTtl } from './ticket.ts'

interface ServeCommand {
  readonly dir: string
  readonly store: string
  readonly http: string
  readonly advertise?: string
  readonly image?: string
  readonly disk?: string
  readonly writes?: string
  readonly consent?: string
  readonly append?: string
  readonly machine?: readonly string[]
  readonly machines?: string
  readonly onlyListed?: boolean
  readonly peers: string
  readonly ipxe?: string
  readonly ticketTtl: string
  readonly printDnsmasq?: boolean
  readonly json?: boolean
}

const httpDefault = `0.0.0.0:${limits.netbootHttpPort}`

export function register(netboot: Command): void {
  netboot
    .command('serve')
    .description('Serve it by HTTP: a boot script for each machine, and the files in it')
    .option('--dir <dir>', "what 'netboot build' has made", './netboot')
    .addOption(storeOption('the store of the seed, which runs on this host'))
    .option('--http <host:port>', 'where machines reach it', httpDefault)
    .option('--advertise <url>', 'how machines reach it, http://HOST:PORT (default: as they did)')
    .option('--image <name[:tag]|cid>', 'which image machines get')
    .option('--disk <path>', 'their target disk, such as /dev/sda')
    .option('--writes <keep|discard>', 'what becomes of what machines write (default: keep)')
    .option('--consent <none|wipe>', 'wipe: whatever their disks hold may go (default: none)')
    .option('--append <arguments>', 'more arguments for their kernel')
    .option('--machine <id,setting=value,...>', 'other settings for one machine', collect)
    .option('--machines <file>', 'a JSON object of settings by hardware address or UUID')
    .option('--only-listed', 'give nothing to a machine that neither of these two names')
    .option('--peers <none|archive|all>', 'what machines may load from each other first', 'archive')
    .option('--ipxe <dir>', 'a folder with builds of iPXE to serve, such as ipxe.efi')
    .option('--ticket-ttl <time>', 'how long a machine may take to enrol after its script', '15m')
    .option('--print-dnsmasq', 'print what dnsmasq needs to send machines here, and end')
    .option('--json', 'print one JSON object a line')
    .action(run)
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

async function run(options: ServeCommand): Promise<void> {
  const http = parseHostPort('--http', options.http)
  const advertise =
    options.advertise === undefined ? undefined : httpUrl('--advertise', options.advertise)
  const known = advertise ?? serverUrl(http.host, http.port)
  if (options.printDnsmasq === true) {
    const dnsmasq = dnsmasqSnippets(known)
    printLine(options.json === true ? JSON.stringify({ url: known, dnsmasq }) : dnsmasq)
    return
  }
  const ttlMs = parseTtl(options.ticketTtl)
  const peers = choiceOf('--peers', options.peers, ['none', 'archive', 'all'])
  const machinery = await machineryOf(options)
  if (options.ipxe !== undefined) await checkFolder('--ipxe', options.ipxe)
  await checkImage(options)
  const say = options.json === true ? printEvent : sayToPeople
  await using tickets = await openBootTickets(options.store)
  const server = await BootServer.start({
    folder: options.dir,
    http,
    machinery,
    onlyListed: options.onlyListed === true,
    peers,
    advertise,
    ipxeFolder: options.ipxe,
    status: () => askSeed(options.store).catch(() => undefined),
    ticket: (machine, status) => tickets.make(machine, Date.now() + ttlMs, status?.seed.addresses),
    onScript: (machine, script, why) =>
      say({ event: 'script', seconds: secondsUp(), machine, script, why }),
    logger: createLogger({ name: 'netboot' })
  })
  const url = advertise ?? serverUrl(http.host, server.port)
  say({ event: 'ready', url, dnsmasq: dnsmasqSnippets(url) })
  await untilStopped()
  await server.close()
  say({ event: 'stopped', seconds: secondsUp() })
}

async function machineryOf(options: ServeCommand): Promise<Machinery> {
  const { image, disk, writes, consent, append, machine = [], machines } = options
  // Here they can name what they may be.
  if (writes !== undefined) choiceOf('--writes', writes, ['keep', 'discard'])
  if (consent !== undefined) choiceOf('--consent', consent, ['none', 'wipe'])
  const machinery = new Machinery({ image, disk, writes, consent, append })
  if (machines !== undefined) {
    const text = await readFile(machines, 'utf8').catch((error: unknown) => {
      throw fileError(error, machines)
    })
    machinery.addFile(machines, text)
  }
  for (const text of machine) machinery.addOption(text)
  return machinery
}

/** Before a machine is switched on for nothing. What a single machine gets may be imported later. */
async function checkImage({ image, store, machine, machines }: ServeCommand): Promise<void> {
  if (image !== undefined) {
    await withExistingStore(store, open => imageNamed(open, image))
  } else if (machine === undefined && machines === undefined) {
    throw new BootswarmError(
      'ERR_USAGE',
      'nothing says which image machines get: add --image, or --machine or --machines for some'
    )
  }
}

async function checkFolder(option: string, path: string): Promise<void> {
  const stats = await stat(path).catch((error: unknown) => {
    throw fileError(error, `${option} ${path}`)
  })
  if (stats.isDirectory()) return
  throw new BootswarmError('ERR_USAGE', `${option} ${path} is no folder`)
}

/** What to tell a person or dnsmasq; machines are told what they asked. */
function serverUrl(host: string, port: number): string {
  const isAny = host === '0.0.0.0' || host === '::'
  const shown = isAny ? (ownNetworks()[0]?.address ?? '127.0.0.1') : host
  return `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}`
}

function sayToPeople(event: NetbootEvent): void {
  if (event.event === 'ready') {
    printLine(`machines boot from ${event.url}/boot.ipxe; stop it with Ctrl-C`)
    printNote('for what dnsmasq needs: bootswarm netboot serve --print-dnsmasq')
  }
  if (event.event !== 'script') return
  const { machine, script, why } = event
  if (script === 'deploy') printLine(`${machine}: loads kernel, first stage and agent`)
  if (script === 'local') printLine(`${machine}: has its image, boots from its disk`)
  if (script === 'refused') printNote(`${machine}: gets nothing: ${why ?? 'not said'}`)
}
