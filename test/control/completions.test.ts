import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import test from 'ava'
import { Completions } from '../../src/control/completions.ts'
import { throwsWith } from '../helpers/errors.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const report = (peerId: string, receivedMs: number, text = 'signed') => ({
  peerId,
  name: `pc-${peerId}`,
  signed: new Uint8Array(Buffer.from(text)),
  receivedMs
})

test('the last report of each machine is there after a restart, oldest first', async t => {
  const directory = await temporaryDirectory(t)
  const first = new Completions(directory)
  first.keep(report('a', 10))
  first.keep(report('b', 20))
  first.keep(report('a', 30, 'anew'))
  const kept = first.all()
  t.deepEqual(kept, [report('b', 20), report('a', 30, 'anew')])
  first.close()
  const second = new Completions(directory)
  t.deepEqual(second.all(), kept)
  second.close()
})

test('when there are too many the oldest make room', async t => {
  const completions = new Completions(await temporaryDirectory(t), 2)
  for (const [index, peer] of ['c', 'a', 'b', 'd'].entries()) completions.keep(report(peer, index))
  t.deepEqual(
    completions.all().map(({ peerId }) => peerId),
    ['b', 'd']
  )
  completions.close()
})

test('a file of another version, or one that is none, is named', async t => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'control.sqlite')
  const newer = new DatabaseSync(path)
  newer.exec('PRAGMA user_version = 7')
  newer.close()
  throwsWith(t, 'ERR_FORMAT_VERSION', () => new Completions(directory))
  await writeFile(path, 'no database'.repeat(1000))
  throwsWith(t, 'ERR_STORE_CORRUPT', () => new Completions(directory))
})
