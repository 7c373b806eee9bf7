import test from 'ava'
import { OwnAddresses } from '../../src/agent/own-addresses.ts'

test('an address that goes is noticed once; one that comes is none that was lost', t => {
  let now = ['10.0.0.1', 'fd00::1']
  const addresses = new OwnAddresses(() => new Set(now))
  t.false(addresses.hasLostOne())
  now = ['10.0.0.2', '10.0.0.1', 'fd00::1']
  t.false(addresses.hasLostOne())
  now = ['10.0.0.2', 'fd00::1']
  t.true(addresses.hasLostOne())
  t.false(addresses.hasLostOne())
})
