import { resolve } from 'node:path'
import test from 'ava'
import { formatNbdAddress, isLocal, nbdUri, parseNbdAddress } from '../../src/nbd/address.ts'

test('HOST:PORT, with names, IPv4 and bracketed IPv6', t => {
  t.deepEqual(parseNbdAddress('127.0.0.1:10809'), { kind: 'tcp', host: '127.0.0.1', port: 10809 })
  t.deepEqual(parseNbdAddress('[::1]:0'), { kind: 'tcp', host: '::1', port: 0 })
  t.deepEqual(parseNbdAddress('lab-3.example:65535'), {
    kind: 'tcp',
    host: 'lab-3.example',
    port: 65535
  })
})

test('unix:PATH is made absolute', t => {
  t.deepEqual(parseNbdAddress('unix:/run/a:b.sock'), { kind: 'unix', path: '/run/a:b.sock' })
  t.deepEqual(parseNbdAddress('unix:x.sock'), { kind: 'unix', path: resolve('x.sock') })
})

test('what is no address says so', t => {
  for (const text of [
    '',
    '10809',
    ':10809',
    'localhost',
    'localhost:',
    'localhost:65536',
    'localhost:-1',
    'localhost:1e3',
    '::1:10809',
    '[::1]',
    '[127.0.0.1]:1',
    '[nope]:1',
    'a b:1',
    'nbd://localhost:1',
    'unix:',
    'unix:a\0b',
    `unix:/${'x'.repeat(107)}`
  ]) {
    t.throws(() => parseNbdAddress(text), { code: 'ERR_ADDRESS_INVALID' }, text)
  }
  t.notThrows(() => parseNbdAddress(`unix:/${'x'.repeat(106)}`))
})

test('what is parsed is formatted back', t => {
  for (const text of ['unix:/run/x.sock', '127.0.0.1:10809', '[::1]:10809', 'localhost:1']) {
    t.is(formatNbdAddress(parseNbdAddress(text)), text)
  }
})

test('URIs as NBD clients read them', t => {
  t.is(nbdUri(parseNbdAddress('[::1]:10809')), 'nbd://[::1]:10809')
  t.is(nbdUri(parseNbdAddress('unix:/run/a b&c.sock')), 'nbd+unix:///?socket=/run/a%20b%26c.sock')
})

test('local is what only this machine can reach', t => {
  const local = ['unix:/x', 'localhost:1', '127.0.0.1:1', '127.9.9.9:1', '[::1]:1']
  for (const text of [...local, '[::ffff:127.0.0.1]:1'])
    t.true(isLocal(parseNbdAddress(text)), text)
  const open = ['0.0.0.0:1', '[::]:1', '192.168.1.2:1', '[fe80::1]:1', 'lab.example:1']
  for (const text of [...open, '[::ffff:10.0.0.1]:1']) t.false(isLocal(parseNbdAddress(text)), text)
})
