import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { furtherCommands, processCountOf, shareOf } from '../../src/cli/processes.ts'
import type { SeedCommand } from '../../src/cli/seed.ts'
import { throwsWith } from '../helpers/errors.ts'

const options = {
  store: '/srv/lab',
  processes: '3',
  mdns: true,
  http: '127.0.0.1:4911'
} as unknown as SeedCommand

/** What follows an option, up to the next. */
function valuesOf(command: readonly string[], option: string): string[] {
  const from = command.indexOf(option) + 1
  if (from === 0) return []
  const length = command.slice(from).findIndex(word => word.startsWith('--'))
  return command.slice(from, length < 0 ? undefined : from + length)
}

test('the number of processes is a small whole number', t => {
  t.is(processCountOf('1'), 1)
  t.is(processCountOf(String(limits.seedProcessesMax)), limits.seedProcessesMax)
  for (const text of ['0', '-1', '1.5', 'all', '', String(limits.seedProcessesMax + 1)]) {
    const error = throwsWith(t, 'ERR_USAGE', () => processCountOf(text))
    t.regex(error.message, /^--processes/)
  }
})

test('one process needs no other', t => {
  t.is(furtherCommands(1, options), undefined)
})

test('each further process has a name and a port of its own, on the same store', t => {
  const commands = furtherCommands(3, options) ?? []
  t.deepEqual(
    commands.map(command => valuesOf(command, '--as')),
    [['process-2'], ['process-3']]
  )
  t.deepEqual(
    commands.map(command => valuesOf(command, '--listen')),
    [
      ['/ip4/0.0.0.0/tcp/4920', '/ip6/::/tcp/4920'],
      ['/ip4/0.0.0.0/tcp/4930', '/ip6/::/tcp/4930']
    ]
  )
  for (const command of commands) {
    t.deepEqual(valuesOf(command, '--store'), ['/srv/lab'])
    t.true(command.includes('--further'))
    t.deepEqual(valuesOf(command, '--upload-rate'), [])
  }
})

test('they share the upload rate, and are told what the first was told', t => {
  const told = {
    ...options,
    as: 'second',
    location: 'b/1',
    uploadRate: '30MB',
    listen: ['/ip4/10.0.0.1/tcp/0']
  }
  const [command = []] = furtherCommands(3, told) ?? []
  t.deepEqual(valuesOf(command, '--as'), ['second-process-2'])
  t.deepEqual(valuesOf(command, '--location'), ['b/1'])
  t.deepEqual(valuesOf(command, '--upload-rate'), ['10000000'])
  t.deepEqual(valuesOf(command, '--listen'), ['/ip4/10.0.0.1/tcp/0'])
  t.is(shareOf(100_000, 4), limits.rateBytesPerSecondMin)
})
