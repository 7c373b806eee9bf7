import { open } from 'node:fs/promises'
import test, { type ExecutionContext } from 'ava'
import { silentLogger } from '../../src/base/index.ts'
import { Completion } from '../../src/agent/completion.ts'
import type { TargetDisk } from '../../src/disk/index.ts'
import { isZero } from '../../src/image/index.ts'
import { chunkBytes, chunkSize, openDisk } from './samples.ts'

async function completing(t: ExecutionContext) {
  const parts = await openDisk(t)
  const told: string[] = []
  const bad: number[] = []
  const completion = new Completion({
    ...parts,
    logger: silentLogger,
    signal: new AbortController().signal,
    onPresent: () => told.push('present'),
    onVerified: ({ verifiedBytes }) => {
      told.push(`verified ${verifiedBytes}`)
      // What is said has to be kept first: a crash in between must not leave a disk that said nothing.
      if (parts.disk.markedComplete) told.push('too late')
      return Promise.resolve()
    },
    onComplete: report => told.push(report === undefined ? 'known to be complete' : 'complete'),
    onBad: position => bad.push(position)
  })
  return { ...parts, completion, told, bad }
}

async function fill(disk: TargetDisk): Promise<void> {
  for (let position = 0; position < 8; position += 1) {
    const plain = chunkBytes(position)
    if (isZero(plain)) disk.placeZero(position)
    else if (disk.needs(position)) await disk.place(position, plain)
  }
}

async function damage(path: string): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write('rotten', chunkSize + 10)
}

test('nothing is said before everything is here; then present, verified, complete, once', async t => {
  const { disk, completion, told } = await completing(t)
  await completion.check()
  t.deepEqual([told, completion.state], [[], 'streaming'])
  await fill(disk)
  const checks = [completion.check(), completion.check()]
  t.is(completion.state, 'verifying')
  await Promise.all(checks)
  await completion.check()
  t.deepEqual(told, ['present', `verified ${disk.size}`, 'complete'])
  t.is(completion.state, 'complete')
  t.true(disk.markedComplete)
})

test('a disk that was verified in an earlier run is not read again', async t => {
  const { disk, path, completion, told } = await completing(t)
  await fill(disk)
  await disk.markComplete()
  await damage(path)
  await completion.check()
  t.deepEqual(told, ['present', 'known to be complete'])
})

test('what does not match is fetched again', async t => {
  const { disk, path, completion, told, bad } = await completing(t)
  await fill(disk)
  await damage(path)
  await completion.check()
  t.deepEqual([told, bad, completion.state], [['present'], [1], 'streaming'])
  t.true(disk.needs(1))
  await disk.place(1, chunkBytes(1))
  await completion.check()
  t.deepEqual(told, ['present', `verified ${disk.size}`, 'complete'], 'present is said once')
})

test('a disk that never comes right is given up', async t => {
  const { disk, path, completion, told } = await completing(t)
  await fill(disk)
  const rounds = async (): Promise<void> => {
    for (;;) {
      await damage(path)
      await completion.check()
      await disk.place(1, chunkBytes(1))
    }
  }
  await t.throwsAsync(rounds(), { code: 'ERR_VERIFY_FAILED' })
  t.deepEqual(told, ['present'])
})
