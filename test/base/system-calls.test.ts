import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { lockSoon, tryLock } from '../../src/base/index.ts'
import { temporaryDirectory } from '../helpers/process.ts'

test('a lock that is let go within a moment is had, one that is kept is not', async t => {
  const path = join(await temporaryDirectory(t), 'file')
  const holder = await open(path, 'w')
  t.true(tryLock(holder.fd))
  await using other = await open(path, 'r+')
  t.false(await lockSoon(other.fd))
  const soon = lockSoon(other.fd)
  await sleep(100)
  await holder.close()
  t.true(await soon)
  await using third = await open(path, 'r+')
  t.false(tryLock(third.fd))
})
