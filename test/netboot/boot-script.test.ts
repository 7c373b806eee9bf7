import test from 'ava'
import {
  deployScript,
  entryScript,
  localScript,
  refusalScript,
  type DeployInit
} from '../../src/netboot/boot-script.ts'
import { throwsWith } from '../helpers/errors.ts'

const sum = (digit: string): string => digit.repeat(64)
const init: DeployInit = {
  id: '52:54:00:12:34:56',
  settings: { image: 'lab:two', disk: '/dev/vda', writes: 'discard', consent: 'wipe' },
  ticket: 'bootswarm1-ticket',
  files: {
    arch: 'x64',
    kernel: { name: `kernel-${sum('a')}`, sha256: sum('a'), bytes: 1 },
    firstStage: { name: `initrd-${sum('b')}`, sha256: sum('b'), bytes: 1 },
    archive: { name: `agent-${sum('c')}.tar.zst`, sha256: sum('c'), bytes: 1 }
  },
  server: 'http://10.0.0.1:4912',
  peersWith: () => []
}

function argumentsIn(script: string): string[] {
  const line = script.split('\n').find(text => text.startsWith('imgargs kernel '))
  return line?.replace(' || goto failed', '').split(' ').slice(2) ?? []
}

test('a machine gets every argument of its settings', t => {
  t.deepEqual(argumentsIn(deployScript(init)), [
    'initrd=initrd',
    'ip=dhcp',
    'bootswarm.image=lab:two',
    'bootswarm.disk=/dev/vda',
    'bootswarm.writes=discard',
    'bootswarm.consent=wipe',
    `bootswarm.archive=${sum('c')}`,
    'bootswarm.from=http://10.0.0.1:4912',
    'bootswarm.ticket=bootswarm1-ticket'
  ])
})

test('no consent is none, and whoever appends an ip= means it', t => {
  const settings = { image: 'lab', disk: 'auto', append: 'console=ttyS0 ip=10.0.0.7', name: 'pc-7' }
  const all = argumentsIn(deployScript({ ...init, settings }))
  t.false(all.includes('ip=dhcp'))
  t.false(all.some(word => word.startsWith('bootswarm.consent')))
  t.true(all.includes('console=ttyS0'))
  t.true(all.includes('bootswarm.name=pc-7'))
  t.true(all.includes('bootswarm.writes=keep'))
})

test('machines near by are asked first, the server last, for each file that they have', t => {
  const peers = ['http://10.0.0.8:4913', 'http://10.0.0.9:4913']
  const has = (name: string) => (name.startsWith('initrd') ? [] : peers)
  const lines = deployScript({ ...init, peersWith: has }).split('\n')
  const urlsOf = (start: string) =>
    lines.find(line => line.startsWith(start))?.match(/http:\/\/[0-9.:]+/g)
  t.deepEqual(urlsOf('kernel'), [...peers, init.server])
  t.deepEqual(urlsOf('initrd'), [init.server])
  t.true(
    argumentsIn(lines.join('\n')).includes(`bootswarm.from=${[...peers, init.server].join(',')}`)
  )
})

test('every script begins as iPXE wants it, and no step that fails is the end', t => {
  const scripts = [entryScript(), deployScript(init), localScript('x'), refusalScript('why')]
  for (const script of scripts) {
    t.regex(script, /^#!ipxe\n/)
    t.regex(
      script,
      /chain --replace \/machine\.ipxe\?mac=\$\{netX\/mac:hexhyp\}&uuid=\$\{uuid\} \|\| /
    )
    const labels = [...script.matchAll(/^:(\w+)$/gm)].map(([, name]) => name)
    for (const [, name] of script.matchAll(/goto (\w+)/g)) t.true(labels.includes(name), name)
  }
})

test('more than a kernel takes is an error, not a machine that hangs', t => {
  const settings = { ...init.settings, append: 'x'.repeat(1_900) }
  throwsWith(t, 'ERR_USAGE', () => deployScript({ ...init, settings }))
})
