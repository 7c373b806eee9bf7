import { stat } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import test, { type ExecutionContext } from 'ava'
import { ControlSocket, parseControlAddress } from '../../src/agent/control-socket.ts'
import { BootswarmError, isErrorCode, silentLogger } from '../../src/base/index.ts'
import { temporaryDirectory } from '../helpers/process.ts'

async function open(t: ExecutionContext) {
  const path = `${await temporaryDirectory(t)}/control`
  const asked: string[] = []
  const handlers = {
    status: () => ({ complete: true, asked: asked.join() }),
    prepare: async () => {
      await new Promise(resolve => setTimeout(resolve, 20))
      asked.push('prepare')
    },
    seal: () => Promise.reject(new BootswarmError('ERR_HAND_OVER', 'not yet')),
    release: async () => void asked.push('release')
  }
  const control = await ControlSocket.start(`unix:${path}`, handlers, silentLogger)
  t.teardown(() => control.close())
  return path
}

async function ask(path: string, ...words: string[]): Promise<Record<string, unknown>[]> {
  const socket: Socket = connect(path)
  const answers: Record<string, unknown>[] = []
  socket.write(words.map(word => `${word}\n`).join(''))
  for await (const line of createInterface({ input: socket })) {
    answers.push(JSON.parse(line) as Record<string, unknown>)
    if (answers.length === words.length) break
  }
  socket.destroy()
  return answers
}

test('requests are done one after the other, and a failure is an answer', async t => {
  const path = await open(t)
  t.deepEqual(await ask(path, 'prepare', 'release', 'seal', 'dance', 'status'), [
    { ok: true, complete: true, asked: 'prepare' },
    { ok: true, complete: true, asked: 'prepare,release' },
    { ok: false, code: 'ERR_HAND_OVER', message: 'not yet' },
    {
      ok: false,
      code: 'ERR_USAGE',
      message: `'dance' is none of status, prepare, seal, release`
    },
    { ok: true, complete: true, asked: 'prepare,release' }
  ])
})

test('nobody but the owner can open it, and the network cannot at all', async t => {
  const path = await open(t)
  t.is((await stat(path)).mode & 0o777, 0o600)
  for (const address of ['127.0.0.1:9', 'localhost:9', '[::1]:9', 'foo', '']) {
    const error = t.throws(() => parseControlAddress(address))
    t.true(isErrorCode(error, 'ERR_ADDRESS_INVALID'))
    t.regex(error.message, /^--control .*write unix:PATH$/)
  }
})

test('who sends a line without an end is cut off', async t => {
  const path = await open(t)
  const socket = connect(path)
  socket.on('error', () => {})
  const closed = new Promise(resolve => socket.on('close', resolve))
  socket.write('x'.repeat(1_000))
  await closed
  t.is((await ask(path, 'status'))[0]?.ok, true)
})
