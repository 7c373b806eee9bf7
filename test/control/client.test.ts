import { join } from 'node:path'
import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { askSeed, controlSocketPath, statusPath } from '../../src/control/client.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { temporaryDirectory } from '../helpers/process.ts'
import { listenAs, status } from './status-server.ts'

const loopback = { host: '127.0.0.1', port: 0 }

test('a store and a URL are asked for the same page', async t => {
  const storeDir = await temporaryDirectory(t)
  const asked: (string | undefined)[] = []
  const answer: Parameters<typeof listenAs>[2] = (request, response) => {
    asked.push(request.url)
    response.end(JSON.stringify(status))
  }
  await listenAs(t, { path: controlSocketPath(storeDir) }, answer)
  const port = await listenAs(t, loopback, answer)
  t.deepEqual(await askSeed(storeDir), status)
  t.deepEqual(await askSeed(`http://127.0.0.1:${port}`), status)
  t.deepEqual(await askSeed(`http://127.0.0.1:${port}/`), status)
  t.deepEqual(asked, [statusPath, statusPath, statusPath])
})

test('a store that nobody serves has no running seed', async t => {
  const storeDir = await temporaryDirectory(t)
  await rejectsWith(t, 'ERR_SEED_NOT_RUNNING', askSeed(storeDir))
  const missing = await rejectsWith(t, 'ERR_SEED_NOT_RUNNING', askSeed(join(storeDir, 'missing')))
  t.regex(missing.message, /missing does not exist/)
})

test('what is no answer of a seed is none', async t => {
  const answers = ['', '{', 'null', '[]', '{}', '{"seed":{}}', '<html>']
  for (const text of answers) {
    const port = await listenAs(t, loopback, (_, response) => response.end(text))
    await rejectsWith(t, 'ERR_SEED_NOT_RUNNING', askSeed(`http://127.0.0.1:${port}`))
  }
  const lost = await listenAs(t, loopback, (_, response) => response.writeHead(404).end('{}'))
  await rejectsWith(t, 'ERR_SEED_NOT_RUNNING', askSeed(`http://127.0.0.1:${lost}`))
  const cut = await listenAs(t, loopback, (_, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('{')
    setImmediate(() => response.destroy())
  })
  await rejectsWith(t, 'ERR_SEED_NOT_RUNNING', askSeed(`http://127.0.0.1:${cut}`))
})

test('an answer without end is not kept in memory', async t => {
  let sent = 0
  const piece = Buffer.alloc(1024 * 1024, ' ')
  const port = await listenAs(t, loopback, (_, response) => {
    const more = (): void => {
      while (!response.destroyed) {
        sent += piece.length
        if (!response.write(piece)) break
      }
    }
    response.on('drain', more)
    more()
  })
  await rejectsWith(t, 'ERR_SEED_NOT_RUNNING', askSeed(`http://127.0.0.1:${port}`))
  t.true(sent >= limits.controlAnswerBytesMax)
})

test('a URL that is no http address is wrong usage', async t => {
  for (const url of ['http://', 'http://:1', 'http://a:99999', 'https://seed:4911', 'ftp://seed']) {
    await rejectsWith(t, 'ERR_ADDRESS_INVALID', askSeed(url))
  }
})
