import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { startControlApi, type ControlApi } from '../../src/control/api.ts'
import { askSeed, controlSocketPath } from '../../src/control/client.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { runProgram, temporaryDirectory } from '../helpers/process.ts'
import { listenAs, status } from './status-server.ts'

const loopback = { host: '127.0.0.1', port: 0 }

async function start(
  t: ExecutionContext,
  storeDir: string,
  http = loopback,
  answer = () => status
): Promise<ControlApi> {
  const api = await startControlApi({ storeDir, http, status: answer })
  t.teardown(() => api.close())
  return api
}

test("the seed's status is told on the socket and over HTTP", async t => {
  const storeDir = await temporaryDirectory(t)
  let uptimeSeconds = 0
  const api = await start(t, storeDir, loopback, () => {
    uptimeSeconds += 1
    return { ...status, seed: { ...status.seed, uptimeSeconds } }
  })
  t.like(await askSeed(storeDir), { seed: { uptimeSeconds: 1 } })
  t.like(await askSeed(api.url), { seed: { uptimeSeconds: 2 } })
  t.deepEqual(await askSeed(api.url), { ...status, seed: { ...status.seed, uptimeSeconds: 3 } })
  const other = await fetch(`${api.url}/v1/other`)
  t.is(other.status, 404)
})

test('only the user of the seed may use its socket', async t => {
  const storeDir = await temporaryDirectory(t)
  await start(t, storeDir)
  const { mode } = await stat(controlSocketPath(storeDir))
  t.is(mode & 0o777, 0o600)
})

test('after the close nobody answers and nothing is left', async t => {
  const storeDir = await temporaryDirectory(t)
  const api = await startControlApi({ storeDir, http: loopback, status: () => status })
  await api.close()
  await t.throwsAsync(stat(controlSocketPath(storeDir)), { code: 'ENOENT' })
  await rejectsWith(t, 'ERR_SEED_NOT_RUNNING', askSeed(storeDir))
  await rejectsWith(t, 'ERR_SEED_NOT_RUNNING', askSeed(api.url))
})

test('the socket of a seed that was killed is replaced', async t => {
  const storeDir = await temporaryDirectory(t)
  const path = controlSocketPath(storeDir)
  const killed = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  t.is((await runProgram(t, process.execPath, ['-e', killed, path])).signal, 'SIGKILL')
  t.true((await stat(path)).isSocket())
  await start(t, storeDir)
  t.deepEqual(await askSeed(storeDir), status)
})

test('a plain file in the place of the socket is replaced', async t => {
  const storeDir = await temporaryDirectory(t)
  await writeFile(controlSocketPath(storeDir), 'left by somebody')
  await start(t, storeDir)
  t.deepEqual(await askSeed(storeDir), status)
})

test('a second seed on a store is turned away and the first goes on', async t => {
  const storeDir = await temporaryDirectory(t)
  await start(t, storeDir)
  await rejectsWith(t, 'ERR_STORE_BUSY', start(t, storeDir))
  t.deepEqual(await askSeed(storeDir), status)
})

test('a seed that answers with an error, or not at all, is alive all the same', async t => {
  const failing = await temporaryDirectory(t)
  await listenAs(t, { path: controlSocketPath(failing) }, (_, response) => {
    response.writeHead(500).end()
  })
  const hanging = await temporaryDirectory(t)
  await listenAs(t, { path: controlSocketPath(hanging) }, () => {})
  await Promise.all([
    rejectsWith(t, 'ERR_STORE_BUSY', start(t, failing)),
    rejectsWith(t, 'ERR_STORE_BUSY', start(t, hanging))
  ])
  t.true((await stat(controlSocketPath(failing))).isSocket())
  t.true((await stat(controlSocketPath(hanging))).isSocket())
})

test('an HTTP port in use is said, and the socket is given back', async t => {
  const storeDir = await temporaryDirectory(t)
  const port = await listenAs(t, loopback, (_, response) => response.end())
  await rejectsWith(t, 'ERR_ADDRESS_IN_USE', start(t, storeDir, { host: '127.0.0.1', port }))
  await rejectsWith(t, 'ERR_SEED_NOT_RUNNING', askSeed(storeDir))
  await start(t, storeDir)
  t.deepEqual(await askSeed(storeDir), status)
})

test('an address that cannot be listened on is said', async t => {
  const storeDir = await temporaryDirectory(t)
  const foreign = { host: '192.0.2.1', port: 0 }
  await rejectsWith(t, 'ERR_ADDRESS_INVALID', start(t, storeDir, foreign))
  const deep = join(storeDir, 'd'.repeat(120))
  await rejectsWith(t, 'ERR_ADDRESS_INVALID', start(t, deep))
})
