import test from 'ava'
import { checkedLocation } from '../../src/cli/location.ts'

test('a place is taken as it is, and none is none', t => {
  t.is(checkedLocation('room-2/rack-7'), 'room-2/rack-7')
  t.is(checkedLocation(undefined), undefined)
})

test('what is no place is said to be none', t => {
  const error = t.throws(() => checkedLocation('second floor'))
  t.like(error, { code: 'ERR_USAGE' })
  t.regex(error.message, /--location second floor/)
})
