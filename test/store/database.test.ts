import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import test from 'ava'
import { BootswarmError } from '../../src/base/index.ts'
import { databaseError, inTransaction, openDatabase } from '../../src/store/database.ts'
import { temporaryDirectory } from '../helpers/process.ts'

test('a transaction is all or nothing', async t => {
  const path = join(await temporaryDirectory(t), 'index.sqlite')
  const database = openDatabase(path, true)
  t.teardown(() => database.close())
  const count = () => database.prepare('SELECT count(*) AS n FROM packs').get()?.n
  const add = (pack: number) => database.exec(`INSERT INTO packs VALUES (${pack}, 16)`)
  inTransaction(database, () => add(1))
  t.throws(
    () =>
      inTransaction(database, () => {
        add(2)
        throw new Error('midway')
      }),
    { message: 'midway' }
  )
  t.is(count(), 1)
  inTransaction(database, () => add(3))
  t.is(count(), 2)
})

test('commits are durable: WAL, and a flush each', async t => {
  const database = openDatabase(join(await temporaryDirectory(t), 'index.sqlite'), true)
  t.teardown(() => database.close())
  t.is(database.prepare('PRAGMA journal_mode').get()?.journal_mode, 'wal')
  t.is(database.prepare('PRAGMA synchronous').get()?.synchronous, 2)
})

test('a lock that another process keeps, and a damaged file, have codes of ours', async t => {
  const path = join(await temporaryDirectory(t), 'index.sqlite')
  const holder = openDatabase(path, true)
  t.teardown(() => holder.close())
  holder.exec('BEGIN IMMEDIATE')
  const waiter = new DatabaseSync(path, { timeout: 1 })
  t.teardown(() => waiter.close())
  const busy = databaseError(
    t.throws(() => waiter.exec('BEGIN IMMEDIATE')),
    path
  )
  t.true(busy instanceof BootswarmError && busy.code === 'ERR_STORE_BUSY')
  const other = new Error('x')
  t.is(databaseError(other, path), other)
})
