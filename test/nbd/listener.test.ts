import { once } from 'node:events'
import { lstat, readdir, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { listen, requireListenable } from '../../src/nbd/listener.ts'
import { runProgram, temporaryDirectory } from '../helpers/process.ts'
import { rawClient } from './raw-client.ts'

function makeServer(t: ExecutionContext): Server {
  const server = createServer(socket => socket.end())
  t.teardown(() => server.close())
  return server
}

test('a socket file is made for its owner only, alone, and is gone afterwards', async t => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'nbd.sock')
  const server = makeServer(t)
  const listening = await listen(server, { kind: 'unix', path })
  t.deepEqual(listening.address, { kind: 'unix', path })
  const stat = await lstat(path)
  t.true(stat.isSocket())
  t.is(stat.mode & 0o777, 0o600)
  t.deepEqual(await readdir(directory), ['nbd.sock'])
  await rawClient(t, `unix:${path}`)
  server.close()
  await listening.cleanUp()
  t.deepEqual(await readdir(directory), [])
})

test('a socket file that nobody serves any more is replaced', async t => {
  const path = join(await temporaryDirectory(t), 'nbd.sock')
  const script = `import socket; socket.socket(socket.AF_UNIX).bind(${JSON.stringify(path)})`
  t.is((await runProgram(t, '/usr/bin/python3', ['-c', script])).code, 0)
  t.true((await lstat(path)).isSocket())
  await listen(makeServer(t), { kind: 'unix', path })
  await t.notThrowsAsync(rawClient(t, `unix:${path}`))
})

test('a socket file that is served is left alone', async t => {
  const path = join(await temporaryDirectory(t), 'nbd.sock')
  await listen(makeServer(t), { kind: 'unix', path })
  const error = await t.throwsAsync(listen(makeServer(t), { kind: 'unix', path }), {
    code: 'ERR_ADDRESS_IN_USE'
  })
  t.true(error?.message.includes(path))
  await t.notThrowsAsync(rawClient(t, `unix:${path}`))
})

test('the socket file of a successor is not removed', async t => {
  const path = join(await temporaryDirectory(t), 'nbd.sock')
  const first = makeServer(t)
  const listening = await listen(first, { kind: 'unix', path })
  first.close()
  await once(first, 'close')
  await listen(makeServer(t), { kind: 'unix', path })
  await listening.cleanUp()
  await t.notThrowsAsync(rawClient(t, `unix:${path}`))
})

test('a file that is not a socket is never touched', async t => {
  const path = join(await temporaryDirectory(t), 'precious')
  await writeFile(path, 'data')
  await t.throwsAsync(listen(makeServer(t), { kind: 'unix', path }), {
    code: 'ERR_ADDRESS_INVALID'
  })
  t.true((await lstat(path)).isFile())
})

test('a directory that is not there makes the address invalid', async t => {
  const path = join(await temporaryDirectory(t), 'missing', 'nbd.sock')
  await t.throwsAsync(listen(makeServer(t), { kind: 'unix', path }), {
    code: 'ERR_ADDRESS_INVALID'
  })
})

test('port 0 becomes a real port, and a port can be had once', async t => {
  const { address } = await listen(makeServer(t), { kind: 'tcp', host: '127.0.0.1', port: 0 })
  t.true(address.kind === 'tcp' && address.port > 0)
  await t.throwsAsync(listen(makeServer(t), address), { code: 'ERR_ADDRESS_IN_USE' })
})

test('an address that is not of this machine is invalid', async t => {
  const address = { kind: 'tcp', host: '192.0.2.1', port: 0 } as const
  await t.throwsAsync(listen(makeServer(t), address), { code: 'ERR_ADDRESS_INVALID' })
})

test('whether an address could be listened on can be asked without leaving a trace', async t => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'nbd.sock')
  await requireListenable({ kind: 'unix', path })
  t.deepEqual(await readdir(directory), [])
  const { address } = await listen(makeServer(t), { kind: 'tcp', host: '127.0.0.1', port: 0 })
  await t.throwsAsync(requireListenable(address), { code: 'ERR_ADDRESS_IN_USE' })
  await listen(makeServer(t), { kind: 'unix', path })
  await t.throwsAsync(requireListenable({ kind: 'unix', path }), { code: 'ERR_ADDRESS_IN_USE' })
  const missing = join(directory, 'missing/nbd.sock')
  await t.throwsAsync(requireListenable({ kind: 'unix', path: missing }), {
    code: 'ERR_ADDRESS_INVALID',
    message: `cannot listen on unix:${missing}: its folder ${dirname(missing)} is not there, or cannot be written to`
  })
  t.deepEqual(await readdir(directory), ['nbd.sock'])
})

test('of many that want one path at the same instant, one gets it', async t => {
  const path = join(await temporaryDirectory(t), 'nbd.sock')
  const all = Array.from({ length: 12 }, () => listen(makeServer(t), { kind: 'unix', path }))
  const results = await Promise.allSettled(all)
  t.is(results.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const result of results) {
    if (result.status === 'rejected') t.like(result.reason, { code: 'ERR_ADDRESS_IN_USE' })
  }
})
