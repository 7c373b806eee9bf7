import test from 'ava'
import { orAborted } from '../../src/base/index.ts'

test('the work ends first: its result, or its error', async t => {
  const { signal } = new AbortController()
  t.is(await orAborted(Promise.resolve(7), signal), 7)
  t.is(await orAborted(Promise.resolve(7), undefined), 7)
  await t.throwsAsync(orAborted(Promise.reject(new Error('broken')), signal), { message: 'broken' })
})

test('the signal comes first: its reason, also when it had come before', async t => {
  const abort = new AbortController()
  const never = new Promise<void>(() => {})
  const waiting = orAborted(never, abort.signal)
  abort.abort(new Error('enough'))
  await t.throwsAsync(waiting, { message: 'enough' })
  await t.throwsAsync(orAborted(never, abort.signal), { message: 'enough' })
})
