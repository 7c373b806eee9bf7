import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { careFor } from '../../src/agent/link-care.ts'

const lively = { silentMs: 0, idleMs: 0, isKept: true }

test('a link in use is left alone', t => {
  t.is(careFor(lively), 'none')
  t.is(careFor({ ...lively, isKept: false }), 'none')
})

test('who has said nothing for a while is asked, and after a long while given up', t => {
  t.is(careFor({ ...lively, silentMs: limits.pingIntervalMs }), 'ping')
  t.is(careFor({ ...lively, silentMs: limits.peerSilentMs + 1 }), 'silent')
})

test('a link whose errand is done is closed, a neighbour’s is kept', t => {
  const idle = { silentMs: 0, idleMs: limits.errandIdleMs + 1 }
  t.is(careFor({ ...idle, isKept: false }), 'done')
  t.is(careFor({ ...idle, isKept: true }), 'none')
})

test('who is not heard after this machine lost an address is asked at once, and soon given up', t => {
  t.is(careFor({ ...lively, silentMs: 500, lostAddressMs: 0 }), 'ping')
  const later = { ...lively, lostAddressMs: limits.pingIntervalMs }
  t.is(careFor({ ...later, silentMs: limits.pingIntervalMs + 500 }), 'silent')
  t.is(careFor({ ...later, silentMs: 100 }), 'none')
})
