import { request } from 'node:http'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { silentLogger } from '../../src/base/index.ts'
import { startFileServer, type Answer, type Asker } from '../../src/netboot/file-server.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const bytes = Buffer.from('0123456789'.repeat(1000))

async function serving(t: ExecutionContext) {
  const folder = await temporaryDirectory(t)
  const path = join(folder, 'file')
  await writeFile(path, bytes)
  const askers: Asker[] = []
  const answers: Record<string, Answer> = {
    '/file': { kind: 'file', path, tag: 'abc' },
    '/gone': { kind: 'file', path: join(folder, 'gone'), tag: 'abc' },
    '/text': { kind: 'text', text: 'hello\n' }
  }
  const server = await startFileServer({
    host: '127.0.0.1',
    port: 0,
    option: '--http',
    answer: async (asked, _query, asker) => {
      askers.push(asker)
      return answers[asked]
    },
    logger: silentLogger
  })
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${server.port}`
  return { server, url, askers }
}

const get = (url: string, headers: Record<string, string> = {}) => fetch(url, { headers })

test('a file is served whole, and by its length to who only asks', async t => {
  const { url } = await serving(t)
  const whole = await get(`${url}/file`)
  t.is(whole.status, 200)
  t.is(whole.headers.get('etag'), '"abc"')
  t.deepEqual(Buffer.from(await whole.arrayBuffer()), bytes)
  const head = await fetch(`${url}/file`, { method: 'HEAD' })
  t.is(head.headers.get('content-length'), String(bytes.length))
  t.is((await head.arrayBuffer()).byteLength, 0)
})

test('a range is served, unless it is of other bytes', async t => {
  const { url } = await serving(t)
  const range = { range: 'bytes=4990-5009' }
  const part = await get(`${url}/file`, { ...range, 'if-range': '"abc"' })
  t.is(part.status, 206)
  t.is(part.headers.get('content-range'), `bytes 4990-5009/${bytes.length}`)
  t.is(await part.text(), bytes.toString('latin1', 4990, 5010))
  const other = await get(`${url}/file`, { ...range, 'if-range': '"old"' })
  t.is(other.status, 200)
  t.is((await other.arrayBuffer()).byteLength, bytes.length)
  const beyond = await get(`${url}/file`, { range: 'bytes=10000-' })
  t.is(beyond.status, 416)
  t.is(beyond.headers.get('content-range'), `bytes */${bytes.length}`)
})

test('what is not there is not found, and nothing but reading is done', async t => {
  const { url } = await serving(t)
  t.is((await get(`${url}/none`)).status, 404)
  t.is((await get(`${url}/gone`)).status, 404)
  t.is((await fetch(`${url}/file`, { method: 'POST', body: 'x' })).status, 405)
  t.is(await (await get(`${url}/text`)).text(), 'hello\n')
})

test('a name of the server that is none is not repeated', async t => {
  const { url, server, askers } = await serving(t)
  const ask = (host: string) =>
    new Promise<void>((resolve, reject) => {
      request(`${url}/text`, { headers: { host } }, response => {
        response.resume()
        response.on('end', resolve)
      })
        .on('error', reject)
        .end()
    })
  await ask('seed.lab:4912')
  await ask('x;shell')
  t.deepEqual(askers, [
    { address: '127.0.0.1', server: 'http://seed.lab:4912' },
    { address: '127.0.0.1', server: `http://127.0.0.1:${server.port}` }
  ])
})

test('who hangs up in the middle gives its place to others', async t => {
  const { url, server } = await serving(t)
  for (let time = 0; time < 40; time += 1) {
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET /file HTTP/1.1\r\nhost: a\r\n\r\n')
    await new Promise(resolve => socket.once('data', resolve))
    socket.destroy()
  }
  t.is((await get(`${url}/file`)).status, 200)
})

test('an address that is taken is named', async t => {
  const { server } = await serving(t)
  const again = startFileServer({
    host: '127.0.0.1',
    port: server.port,
    option: '--netboot-http',
    answer: async () => undefined,
    logger: silentLogger
  })
  await t.throwsAsync(again, { code: 'ERR_ADDRESS_IN_USE', message: /--netboot-http 127/ })
})
