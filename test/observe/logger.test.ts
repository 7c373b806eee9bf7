import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { createLogger } from '../../src/observe/index.ts'
import { isErrorCode } from '../../src/base/index.ts'
import { projectRoot, runProgram } from '../helpers/process.ts'

interface Line {
  readonly level: string
  readonly name: string
  readonly pid: number
  readonly time: string
  readonly msg: string
  readonly [field: string]: unknown
}

/** Runs a program that has a `log` and returns what it wrote to stderr, line by line. */
async function logged(
  t: ExecutionContext,
  program: string,
  env: Record<string, string | undefined> = {}
): Promise<Line[]> {
  const module = JSON.stringify(join(projectRoot, 'src/observe/index.ts'))
  const source = `import { createLogger } from ${module}
    const log = createLogger({ name: 'agent' })
    ${program}`
  const args = ['--input-type=module-typescript', '--eval', source]
  const result = await runProgram(t, process.execPath, args, {
    env: { NODE_ENV: undefined, BOOTSWARM_LOG: undefined, ...env }
  })
  t.is(result.stdout, '')
  const lines = result.stderr.split('\n').filter(line => line !== '')
  return lines.map(line => JSON.parse(line) as Line)
}

const allLevels = `log.debug('fine'); log.info('plain'); log.warn('odd', { peer: 'p1', chunks: 3 })`

test('a line is JSON on stderr with time, level, name, pid, message and facts', async t => {
  const [line] = await logged(t, allLevels)
  t.is(line?.level, 'warn')
  t.is(line?.name, 'agent')
  t.is(line?.msg, 'odd')
  t.is(line?.peer, 'p1')
  t.is(line?.chunks, 3)
  t.is(typeof line?.pid, 'number')
  t.false(Number.isNaN(Date.parse(line?.time ?? '')))
})

test('the level comes from BOOTSWARM_LOG and is warn without it', async t => {
  const levels = async (level?: string): Promise<string[]> => {
    const lines = await logged(t, allLevels, { BOOTSWARM_LOG: level })
    return lines.map(line => line.level)
  }
  t.deepEqual(await levels(), ['warn'])
  t.deepEqual(await levels('debug'), ['debug', 'info', 'warn'])
  t.deepEqual(await levels('info'), ['info', 'warn'])
  t.deepEqual(await levels('silent'), [])
})

test('while tests run it is silent unless a level is asked for', async t => {
  t.deepEqual(await logged(t, allLevels, { NODE_ENV: 'test' }), [])
  t.is((await logged(t, allLevels, { NODE_ENV: 'test', BOOTSWARM_LOG: 'info' })).length, 2)
})

test('the last line before a crash is there', async t => {
  const lines = await logged(t, `log.warn('last'); process.kill(process.pid, 'SIGKILL')`)
  t.deepEqual(
    lines.map(line => line.msg),
    ['last']
  )
})

test('an error among the facts keeps its message and stack', async t => {
  const [line] = await logged(t, `log.warn('odd', { error: new TypeError('no') })`)
  t.like(line?.error, { type: 'TypeError', message: 'no' })
})

test.serial('an unknown level in the environment is wrong usage', t => {
  const before = process.env.BOOTSWARM_LOG
  t.teardown(() => {
    if (before === undefined) delete process.env.BOOTSWARM_LOG
    else process.env.BOOTSWARM_LOG = before
  })
  process.env.BOOTSWARM_LOG = 'loud'
  const error = t.throws(() => createLogger({ name: 'agent' }))
  t.true(isErrorCode(error, 'ERR_USAGE'))
})
