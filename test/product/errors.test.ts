import { mkdir, open, readdir, truncate, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import type { ErrorCode } from '../../src/base/index.ts'
import { decodeTicket, encodeTicket, type Ticket } from '../../src/swarm/index.ts'
import { chunkBytes, MiB, noiseImage } from './images.ts'
import { Lab, lastObject, patienceMs, portOf, seedPort } from './lab.ts'

// Wrong input, as a user meets it: one line that names the culprit, a code, an exit code, and nothing
// left behind.

interface Case {
  readonly args: readonly string[]
  readonly exit: 1 | 2
  readonly code: ErrorCode
  /** What the line must name. */
  readonly names: string
}

async function refused(t: ExecutionContext, lab: Lab, { args, exit, code, names }: Case) {
  const before = await readdir(lab.directory)
  const finished = await lab.run(...args)
  const what = `${args.join(' ').slice(0, 300)}\n${finished.stderr}`
  t.is(finished.code, exit, what)
  t.is(finished.stdout, '', what)
  const lines = finished.stderr.trimEnd().split('\n')
  t.is(lines.length, 1, what)
  t.regex(lines[0] ?? '', new RegExp(`^bootswarm: .+ \\[${code}\\]$`), what)
  t.true(lines[0]?.includes(names), `${what} names ${names}`)
  t.deepEqual(await readdir(lab.directory), before, what)
}

/** A ticket as good as any, of a lab whose seed nobody can reach. */
function strayTicket(changes: Partial<Ticket> = {}): string {
  const peerId = '12D3KooWSdM4Y5imj4PcBN7xjTciXa922gjGMxBzEWoEXRdeDoE6'
  return encodeTicket({
    labKey: Buffer.alloc(32, 1),
    secret: Buffer.alloc(32, 2),
    seeds: [`/ip4/127.0.0.1/tcp/1/p2p/${peerId}`],
    expiresMs: Date.now() + 3_600_000,
    ...changes
  })
}

function agentArgs(lab: Lab, changes: Readonly<Record<string, string>> = {}): string[] {
  const options = {
    '--ticket': strayTicket(),
    '--image': 'lab',
    '--disk': lab.path('new.disk'),
    '--nbd': `unix:${lab.path('new.sock')}`,
    '--listen': '/ip4/127.0.0.1/tcp/0',
    ...changes
  }
  return ['agent', ...Object.entries(options).flat()]
}

test('image files that cannot be images', async t => {
  const lab = await Lab.make(t)
  await writeFile(lab.path('empty'), '')
  await writeFile(lab.path('odd'), Buffer.alloc(1000))
  for (const [name, code] of [
    ['missing', 'ERR_FILE_MISSING'],
    ['empty', 'ERR_IMAGE_EMPTY'],
    ['odd', 'ERR_IMAGE_SIZE']
  ] as const) {
    const path = lab.path(name)
    const args = ['image', 'import', path, '--name', 'a', '--store', lab.store]
    await refused(t, lab, { args, exit: 1, code, names: path })
    await refused(t, lab, { args: ['demo', '--image', path], exit: 1, code, names: path })
  }
  const dir = lab.path('nowhere')
  const missing = { exit: 1, code: 'ERR_FILE_MISSING', names: dir } as const
  await refused(t, lab, { args: ['demo', '--dir', dir], ...missing })
})

test('stores that are none, are damaged, or have another version', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 1)
  await lab.importImage(path, 'lab')
  await mkdir(lab.path('foreign'))
  await writeFile(lab.path('foreign/letter.txt'), 'dear lab')
  const seed = ['--http', '127.0.0.1:0', '--listen', '/ip4/127.0.0.1/tcp/0']
  const inForeign = ['--store', lab.path('foreign')]
  const inStore = ['--store', lab.store]

  const invalid = { exit: 1, code: 'ERR_STORE_INVALID', names: lab.path('foreign') } as const
  await refused(t, lab, { args: ['seed', ...inForeign, ...seed], ...invalid })
  await refused(t, lab, { args: ['ticket', ...inForeign], ...invalid })
  await refused(t, lab, { args: ['image', 'list', '--store', path], ...invalid, names: path })
  t.deepEqual(await readdir(lab.path('foreign')), ['letter.txt'])
  const missing = { exit: 1, code: 'ERR_STORE_MISSING', names: lab.path('missing') } as const
  await refused(t, lab, { args: ['ticket', '--store', lab.path('missing')], ...missing })

  for (const version of [0, 99]) {
    const marker = JSON.stringify({ format: 'bootswarm-store', version })
    await writeFile(lab.path('store/store.json'), marker)
    const other = { exit: 1, code: 'ERR_FORMAT_VERSION', names: lab.store } as const
    await refused(t, lab, { args: ['seed', ...inStore, ...seed], ...other })
    await refused(t, lab, { args: ['ticket', ...inStore], ...other })
  }
  await writeFile(lab.path('store/store.json'), '{"format":"bootswarm-store","version":1}')

  const pack = lab.path('store/packs/000001.pack')
  await truncate(pack, chunkBytes)
  const corrupt = { exit: 1, code: 'ERR_STORE_CORRUPT', names: pack } as const
  await refused(t, lab, { args: ['seed', ...inStore, ...seed], ...corrupt })
  await refused(t, lab, { args: ['image', 'verify', ...inStore], ...corrupt })
})

test('options that are unknown, missing or malformed: exit 2', async t => {
  const lab = await Lab.make(t)
  const usage: readonly (readonly [string, readonly string[]])[] = [
    ['--colour', ['seed', '--colour', 'red']],
    ['--colour', ['status', '--colour', 'red']],
    ['--colour', agentArgs(lab, { '--colour': 'red' })],
    ['nonsense', ['nonsense']],
    ['--ticket', ['agent', ...agentArgs(lab).slice(3)]],
    ['--nbd', ['agent', '--ticket', strayTicket(), '--image', 'lab', '--disk', lab.path('disk')]],
    ['--until', agentArgs(lab, { '--until': 'tomorrow' })],
    ['--name', agentArgs(lab, { '--name': 'x'.repeat(129) })],
    ['--name', agentArgs(lab, { '--name': 'pc\u001b[31m' })],
    ['--writes', agentArgs(lab, { '--writes': 'maybe' })],
    ['--start-at', agentArgs(lab, { '--start-at': 'noon' })],
    ['/dev/sda', agentArgs(lab, { '--device': '/dev/sda' })],
    ['--ttl', ['ticket', '--store', lab.store, '--ttl', '1 day']],
    ['--http', ['seed', '--store', lab.store, '--http', '4911']],
    ['--agents', ['demo', '--agents', '0']],
    ['--agents', ['demo', '--agents', 'many']]
  ]
  for (const [names, args] of usage) {
    await refused(t, lab, { args, exit: 2, code: 'ERR_USAGE', names })
  }
  const image = agentArgs(lab, { '--image': 'Not A Name' })
  await refused(t, lab, { args: image, exit: 2, code: 'ERR_NAME_INVALID', names: 'Not A Name' })
})

test('tickets that are none, are damaged, or have another version', async t => {
  const lab = await Lab.make(t)
  const good = strayTicket()
  const cut = good.slice(0, -3)
  const changed = good.replace(/.{9}$/, last => (last.startsWith('A') ? 'B' : 'A') + last.slice(1))
  for (const ticket of ['garbage', '', good.slice(9), cut, changed]) {
    const args = agentArgs(lab, { '--ticket': ticket })
    await refused(t, lab, { args, exit: 1, code: 'ERR_TICKET_INVALID', names: 'the ticket' })
  }
  for (const version of [0, 2]) {
    const args = agentArgs(lab, { '--ticket': good.replace('bootswarm1', `bootswarm${version}`) })
    await refused(t, lab, { args, exit: 1, code: 'ERR_FORMAT_VERSION', names: `${version}` })
  }
})

test('an NBD address that cannot be served is refused before anything else is done', async t => {
  const lab = await Lab.make(t)
  await writeFile(lab.path('file'), 'not a socket')
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const cases: readonly (readonly [string, ErrorCode, 1 | 2])[] = [
    ['nonsense', 'ERR_ADDRESS_INVALID', 2],
    [`unix:${lab.path('file')}`, 'ERR_ADDRESS_INVALID', 2],
    [`unix:${lab.path('missing/nbd.sock')}`, 'ERR_ADDRESS_INVALID', 2],
    ['0.0.0.0:0', 'ERR_ADDRESS_INSECURE', 2],
    ['[::]:0', 'ERR_ADDRESS_INSECURE', 2],
    [`127.0.0.1:${port}`, 'ERR_ADDRESS_IN_USE', 1]
  ]
  for (const [nbd, code, exit] of cases) {
    const names = nbd.replace(/^unix:/, '')
    await refused(t, lab, { args: agentArgs(lab, { '--nbd': nbd }), exit, code, names })
  }
})

test('target disks that an agent must not touch', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 2)
  await lab.importImage(path, 'lab')
  await lab.startSeed()
  const ticket = await lab.ticket()
  const agent = await lab.startAgent({ name: 'live', ticket })
  await agent.until('complete')

  const small = lab.path('small.disk')
  await writeFile(small, Buffer.alloc(MiB))
  const foreign = lab.path('foreign.disk')
  await writeFile(foreign, Buffer.alloc(bytes.length))
  const handle = await open(foreign, 'r+')
  await handle.write('a thesis', 5 * MiB)
  await handle.close()
  const before = await readdir(lab.directory)
  const cases: readonly (readonly [Record<string, string>, ErrorCode, string])[] = [
    [{ '--disk': small }, 'ERR_TARGET_TOO_SMALL', small],
    [{ '--disk': foreign }, 'ERR_TARGET_FOREIGN', foreign],
    [{ '--disk': agent.disk }, 'ERR_TARGET_BUSY', agent.disk],
    [{ '--nbd': `unix:${agent.socket}` }, 'ERR_ADDRESS_IN_USE', agent.socket],
    [{ '--disk': lab.path('missing/a.disk') }, 'ERR_FILE_MISSING', lab.path('missing/a.disk')]
  ]
  for (const [changes, code, names] of cases) {
    const args = agentArgs(lab, { '--ticket': ticket, ...changes })
    await refused(t, lab, { args, exit: 1, code, names })
  }
  const directory = agentArgs(lab, { '--disk': lab.directory })
  await refused(t, lab, { args: directory, exit: 2, code: 'ERR_USAGE', names: lab.directory })
  t.deepEqual(await readdir(lab.directory), before)
  await agent.process.stop()

  const used = { '--disk': agent.disk }
  const otherLab = agentArgs(lab, { ...used, '--ticket': await ticketOfAnotherLab(t) })
  const inOtherLab = { exit: 1, code: 'ERR_TARGET_FOREIGN', names: agent.disk } as const
  await refused(t, lab, { args: otherLab, ...inOtherLab })
  for (const version of [0, 1, 3]) {
    await setMetadataVersion(`${agent.disk}.bootswarm`, version)
    const args = agentArgs(lab, { ...used, '--ticket': ticket })
    await refused(t, lab, { args, exit: 1, code: 'ERR_FORMAT_VERSION', names: agent.disk })
  }
  await writeFile(`${agent.disk}.bootswarm`, Buffer.alloc(64 * 1024, 'x'))
  const args = agentArgs(lab, { ...used, '--ticket': ticket })
  await refused(t, lab, { args, exit: 1, code: 'ERR_METADATA_CORRUPT', names: agent.disk })
  t.true(bytes.equals(await agent.read()), 'nothing was written')
})

async function ticketOfAnotherLab(t: ExecutionContext): Promise<string> {
  const other = await Lab.make(t)
  await other.startSeed()
  return other.ticket()
}

/** In both copies of the superblock, with checks that match (docs/disk-format.md). */
async function setMetadataVersion(path: string, version: number): Promise<void> {
  await using file = await open(path, 'r+')
  const { size } = await file.stat()
  for (const offset of [0, size - 4096]) {
    const page = Buffer.alloc(4096)
    await file.read(page, 0, page.length, offset)
    page.writeUInt16BE(version, 8)
    page.writeUInt32BE(crc32(page.subarray(0, 508)), 508)
    await file.write(page, 0, page.length, offset)
  }
}

test('images that the seed does not know, and a ticket that has expired', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 1)
  const { cid } = await lab.importImage(path, 'lab')
  await lab.startSeed()
  const short = (await lab.run('ticket', '--store', lab.store, '--ttl', '1s')).stdout.trim()
  const ticket = await lab.ticket()
  const unknownCid = cid.replace(/.{8}$/, 'aaaaaaaa')
  for (const image of ['fedora', 'lab:12', unknownCid]) {
    const args = agentArgs(lab, { '--ticket': ticket, '--image': image })
    await refused(t, lab, { args, exit: 1, code: 'ERR_IMAGE_UNKNOWN', names: image })
  }
  await sleep(Math.max(0, decodeTicket(short).expiresMs + 1 - Date.now()))
  const expired = agentArgs(lab, { '--ticket': short })
  await refused(t, lab, { args: expired, exit: 1, code: 'ERR_TICKET_INVALID', names: 'expired' })
  const forged = encodeTicket({ ...decodeTicket(ticket), secret: Buffer.alloc(32) })
  const args = agentArgs(lab, { '--ticket': forged })
  await refused(t, lab, { args, exit: 1, code: 'ERR_TICKET_INVALID', names: 'the ticket' })
})

test('seeds that are in each other’s way, and no seed at all', async t => {
  const lab = await Lab.make(t)
  const seed = await lab.startSeed()
  const { http } = await seed.waitForEvent('ready')
  const httpHost = new URL(String(http)).host
  const free = '/ip4/127.0.0.1/tcp/0'
  const start = (store: string, listen: string, at: string) => [
    ...['seed', '--store', lab.path(store), '--listen', listen, '--http', at]
  ]
  const secondSeed = start('store', free, '127.0.0.1:0')
  const busy = { exit: 1, code: 'ERR_STORE_BUSY', names: lab.store } as const
  await refused(t, lab, { args: secondSeed, ...busy })
  await mkdir(lab.path('other'))
  const samePort = start('other', `/ip4/127.0.0.1/tcp/${seedPort(seed)}`, '127.0.0.1:0')
  const inUse = { exit: 1, code: 'ERR_ADDRESS_IN_USE' } as const
  await refused(t, lab, { args: samePort, ...inUse, names: `${seedPort(seed)}` })
  const secondProcess = start('other', `/ip4/127.0.0.1/tcp/${seedPort(seed) - 10}`, '127.0.0.1:0')
  const args = [...secondProcess, '--processes', '2']
  await refused(t, lab, { args, ...inUse, names: `${seedPort(seed)}` })
  await refused(t, lab, { args: start('other', free, httpHost), ...inUse, names: httpHost })
  const invalid = { exit: 2, code: 'ERR_ADDRESS_INVALID', names: 'nonsense' } as const
  await refused(t, lab, { args: start('other', 'nonsense', '127.0.0.1:0'), ...invalid })
  for (const [address, names] of [
    ['/ip4/192.0.2.1/tcp/0', '192.0.2.1/tcp/0: this host has no such address ['],
    ['/ip4/127.0.0.1/udp/59100', 'udp/59100: only TCP can be listened on'],
    ['/ip4/127.0.0.1/tcp/59100/ws', 'ws: only TCP can be listened on']
  ] as const) {
    await refused(t, lab, { args: start('other', address, '127.0.0.1:0'), ...invalid, names })
  }
  t.deepEqual(await lab.status().then(({ machines }) => machines), [], 'the first goes on')
  await seed.stop()

  const notRunning = { exit: 1, code: 'ERR_SEED_NOT_RUNNING' } as const
  await refused(t, lab, { args: ['status', '--store', lab.store], ...notRunning, names: lab.store })
  const url = String(http)
  await refused(t, lab, { args: ['status', '--seed', url], ...notRunning, names: url })
  const json = await lab.run('status', '--store', lab.store, '--json')
  t.like(lastObject(json.stdout), { event: 'error', code: 'ERR_SEED_NOT_RUNNING' })
})

test('a seed that cannot be reached: the agent says so, keeps trying, and works when it comes', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 2)
  await lab.importImage(path, 'lab')
  const seed = await lab.startSeed()
  const ticket = await lab.ticket()
  await seed.stop()
  const agent = await lab.startAgent({ name: 'a', ticket })
  const { seeds } = decodeTicket(ticket)
  t.like(await agent.until('unreachable'), { addresses: seeds })
  t.false((await readdir(lab.directory)).includes('a.disk'))
  await agent.process.waitForEvent('unreachable', {
    timeoutMs: patienceMs,
    where: () => agent.process.events.length > 1
  })
  t.false(agent.has('ready'))
  await lab.startSeed(portOf(seeds[0] ?? ''))
  await agent.until('complete')
  t.true(bytes.equals(await agent.read()))
})
