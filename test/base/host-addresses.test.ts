import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import test from 'ava'
import { outsideAddresses } from '../../src/base/index.ts'

test('every address of the host but loopback is listed', t => {
  const found = outsideAddresses()
  for (const { address, internal } of found) t.true(isIP(address) !== 0 && !internal, address)
  const loopback = networkInterfaces().lo?.map(({ address }) => address) ?? []
  t.true(loopback.length > 0)
  t.deepEqual(
    found.filter(({ address }) => loopback.includes(address)),
    []
  )
})
