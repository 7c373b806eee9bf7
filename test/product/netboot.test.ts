import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { writeBootFolder } from '../../src/netboot/boot-folder.ts'
import { decodeTicket } from '../../src/swarm/index.ts'
import { startBootswarm } from '../helpers/process.ts'
import { sampleArchive, sampleInitrd, sampleKernel } from '../netboot/samples.ts'
import { noiseImage } from './images.ts'
import { Lab, patienceMs } from './lab.ts'

// Bare machines ask over HTTP what to boot, and get what is right for them.

const mac = '52:54:00:12:34:56'
const ask = async (url: string): Promise<string> => (await fetch(url)).text()
const argument = (script: string, name: string): string | undefined =>
  new RegExp(` bootswarm\\.${name}=(\\S+)`).exec(script)?.[1]

async function labWithBoot(t: Parameters<typeof Lab.make>[0], extra: readonly string[] = []) {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 2)
  await lab.importImage(path, 'lab')
  await lab.startSeed()
  const folder = lab.path('boot')
  const files = await writeBootFolder({
    folder,
    arch: 'x64',
    kernel: sampleKernel(1),
    initrd: sampleInitrd(),
    archive: sampleArchive()
  })
  const server = startBootswarm(t, [
    ...['netboot', 'serve', '--dir', folder, '--store', lab.store, '--http', '127.0.0.1:0'],
    ...['--image', 'lab', '--disk', '/dev/vda', '--json', ...extra]
  ])
  const { url } = await server.waitForEvent('ready', { timeoutMs: patienceMs })
  return { lab, folder, files, server, url: String(url) }
}

test('a machine boots with a ticket of its own, and from its disk once that is complete', async t => {
  const { lab, files, server, url } = await labWithBoot(t, ['--machine', `${mac},consent=wipe`])
  t.regex(await ask(`${url}/boot.ipxe`), /chain --replace \/machine\.ipxe/)
  const own = `${url}/machine.ipxe?mac=${mac.replaceAll(':', '-')}&uuid=`
  const script = await ask(own)
  t.is(argument(script, 'image'), 'lab')
  t.is(argument(script, 'consent'), 'wipe')
  t.is(argument(script, 'archive'), files.archive.sha256)
  const [kernelUrl = ''] = /http:\S+kernel-\w+/.exec(script) ?? []
  t.deepEqual(Buffer.from(await (await fetch(kernelUrl)).arrayBuffer()), sampleKernel(1))
  const archiveUrl = `${argument(script, 'from')}/${files.archive.name}`
  t.deepEqual(Buffer.from(await (await fetch(archiveUrl)).arrayBuffer()), sampleArchive())
  const ticket = argument(script, 'ticket') ?? ''
  t.is(decodeTicket(ticket).bound?.machine, mac)

  const agent = await lab.startAgent({ name: 'a', ticket, extra: ['--machine', mac] })
  await agent.until('complete')
  const other = await ask(`${url}/machine.ipxe?mac=52-54-00-00-00-01&uuid=`)
  t.is(argument(other, 'consent'), undefined)
  t.is(decodeTicket(argument(other, 'ticket') ?? '').bound?.machine, '52:54:00:00:00:01')
  await agent.process.stop()
  const until = Date.now() + patienceMs
  let last = await ask(own)
  while (!last.includes('sanboot') && Date.now() < until) last = await ask(own)
  t.regex(last, /sanboot --no-describe --drive 0x80/)
  t.deepEqual(await server.stop(), { code: 0, signal: null })
  const scripts = server.events.flatMap(({ event, script: kind }) =>
    event === 'script' ? kind : []
  )
  t.is(scripts[0], 'deploy')
  t.is(scripts.at(-1), 'local')
})

test('whoever is not listed, or does not say who it is, gets nothing and is told why', async t => {
  const { url, server } = await labWithBoot(t, ['--only-listed'])
  for (const query of ['mac=52-54-00-00-00-01', 'mac=nonsense&uuid=', '']) {
    const script = await ask(`${url}/machine.ipxe?${query}`)
    t.regex(script, /^#!ipxe\ngoto failed\n/)
    t.false(script.includes('ticket'))
  }
  await server.waitForEvent('script', { where: event => event.script === 'refused' })
  for (const path of ['/../netboot.json', '/kernel-0', '/%2e%2e/etc/passwd', '/etc/passwd']) {
    t.is((await fetch(`${url}${path}`)).status, path.includes('netboot') ? 200 : 404, path)
  }
})

test('a folder with a damaged file is not served', async t => {
  const { lab, folder, files, server } = await labWithBoot(t)
  await server.stop()
  await appendFile(join(folder, files.archive.name), 'more')
  const args = [
    ...['netboot', 'serve', '--dir', folder, '--store', lab.store, '--http', '127.0.0.1:0'],
    ...['--image', 'lab']
  ]
  const { code, stderr } = await lab.run(...args)
  t.is(code, 1)
  t.regex(stderr, /agent-.* is damaged.*ERR_NETBOOT_INVALID/)
})

test('a folder of iPXE that is none is refused; what dnsmasq needs is an object with --json', async t => {
  const lab = await Lab.make(t)
  const serve = ['netboot', 'serve', '--store', lab.store, '--http', '127.0.0.1:4999']
  const missing = await lab.run(...serve, '--ipxe', lab.path('none'))
  t.is(missing.code, 1)
  t.regex(missing.stderr, /--ipxe .*none does not exist \[ERR_FILE_MISSING\]/)
  const printed = await lab.run(...serve, '--print-dnsmasq', '--json')
  const { url, dnsmasq } = JSON.parse(printed.stdout) as Record<string, string>
  t.is(url, 'http://127.0.0.1:4999')
  t.regex(dnsmasq ?? '', /dhcp-boot/)
})

test('what no machine could boot is refused before one is switched on', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 1)
  await lab.importImage(path, 'lab')
  const cases = [
    [['--image', 'nope'], 1, /no image nope; 'bootswarm image list' .+ \[ERR_IMAGE_UNKNOWN\]$/],
    [[], 2, /which image machines get: add --image.+ \[ERR_USAGE\]$/],
    [['--image', 'lab', '--writes', 'x'], 2, /--writes x is none of 'keep', 'discard' \[ERR_USAGE/],
    [['--image', 'lab', '--consent', 'x'], 2, /--consent x is none of 'none', 'wipe' \[ERR_USAGE/],
    [['--image', 'lab', '--peers', 'x'], 2, /--peers x is none of 'none', 'archive', 'all' /]
  ] as const
  for (const [args, exit, says] of cases) {
    const { code, stderr } = await lab.run('netboot', 'serve', '--store', lab.store, ...args)
    t.is(code, exit, stderr)
    t.regex(stderr.trimEnd(), says)
    t.is(stderr.trimEnd().split('\n').length, 1, stderr)
  }
})

test('a machine that is up serves the others: their scripts name it first', async t => {
  const { lab, files, url } = await labWithBoot(t)
  // Not the asker's own address: nobody is sent to itself.
  const cache = ['--netboot-cache', lab.path('cache'), '--netboot-http', '127.0.0.2:0']
  const agent = await lab.startAgent({ name: 'a', extra: [...cache, '--netboot-from', url] })
  await agent.until('complete')
  const own = `${url}/machine.ipxe?mac=52-54-00-00-00-02&uuid=`
  const sources = (script: string) => argument(script, 'from')?.split(',') ?? []
  const until = Date.now() + patienceMs
  let script = await ask(own)
  while (sources(script).length < 2 && Date.now() < until) script = await ask(own)
  const [peer = '', last] = sources(script)
  t.is(last, url)
  // What nobody checks comes from the server alone, unless told otherwise.
  t.true(script.includes(`60000 ${url}/${files.kernel.name} || goto failed`))
  t.false(script.includes(`${peer}/kernel-`))
  t.deepEqual(
    Buffer.from(await (await fetch(`${peer}/${files.archive.name}`)).arrayBuffer()),
    sampleArchive()
  )
  await agent.process.stop()
})
