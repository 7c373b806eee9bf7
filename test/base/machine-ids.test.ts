import test from 'ava'
import { machineIdOf, ownMachineIds, parseMachineId } from '../../src/base/index.ts'
import { throwsWith } from '../helpers/errors.ts'

test('an address or UUID has one form, however it is written', t => {
  const address = '52:54:00:12:ab:ff'
  for (const text of [address, '52-54-00-12-AB-FF', ' 52:54:00:12:AB:FF\n']) {
    t.is(parseMachineId(text), address)
  }
  const uuid = '0f3c3a7e-1111-4222-8333-444455556666'
  t.is(parseMachineId(uuid.toUpperCase()), uuid)
})

test('what is neither, or no machine has to itself, is none', t => {
  const bad = [
    ...[
      '',
      'pc-1',
      '52:54:00:12:34',
      '52:54:00:12:34:56:78',
      '52:54-00:12:34:56',
      'gg:54:00:12:34:56'
    ],
    ...['00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', '00000000-0000-0000-0000-000000000000'],
    ...['52:54:00:12:34:56\nshell', 'ffffffff-ffff-ffff-ffff-ffffffffffff']
  ]
  for (const text of bad) t.is(parseMachineId(text), undefined, text)
  const error = throwsWith(t, 'ERR_USAGE', () => machineIdOf('--machine', 'pc-1'))
  t.regex(error.message, /--machine pc-1/)
})

test("this machine's own are ids", t => {
  for (const id of ownMachineIds()) t.is(parseMachineId(id), id)
})
