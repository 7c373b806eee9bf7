import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { SetupError, say } from './messages.mjs'
import { installNpmPackages, npmPackagesAreCurrent } from './npm-packages.mjs'
import { installSystemPrograms, missingPrograms, purposes } from './system-programs.mjs'

const root = realpathSync(fileURLToPath(new URL('../..', import.meta.url)))
const lockHeld = 'BOOTSWARM_SETUP_LOCK_HELD'

export function run(args) {
  try {
    const purpose = parsePurpose(args)
    if (nothingToDo(purpose)) return
    if (process.env[lockHeld] === root) work(purpose)
    else process.exitCode = runAgainUnderLock(args)
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    say(error.message)
    process.exitCode = error.exitCode
  }
}

function parsePurpose(args) {
  const [option, purpose, ...rest] = args.length === 0 ? ['--for', 'runtime'] : args
  if (option !== '--for' || rest.length > 0 || !purposes.includes(purpose)) {
    throw new SetupError(`usage: node scripts/setup.mjs [--for ${purposes.join('|')}]`, 2)
  }
  return purpose
}

function nothingToDo(purpose) {
  return npmPackagesAreCurrent(root) && missingPrograms(purpose).length === 0
}

function work(purpose) {
  if (!npmPackagesAreCurrent(root)) installNpmPackages(root)
  installSystemPrograms(purpose)
}

/**
 * Two set-ups at once would empty node_modules under each other. flock(1) is on every Debian, locks
 * the checkout's directory itself, and the kernel lets go when its holder dies: no stale lock exists.
 */
function runAgainUnderLock(args) {
  const command = [
    process.execPath,
    fileURLToPath(new URL('../setup.mjs', import.meta.url)),
    ...args
  ]
  const env = { ...process.env, [lockHeld]: root }
  const busy = 75
  const options = { env, stdio: ['ignore', 'inherit', 'inherit'] }
  let held = spawnSync('flock', ['-n', '-E', String(busy), root, ...command], options)
  if (held.status === busy) {
    say('another set-up of this checkout is running; waiting for it')
    held = spawnSync('flock', [root, ...command], options)
  }
  if (held.error !== undefined) {
    throw new SetupError(`cannot run flock (${held.error.message}); install: util-linux`)
  }
  return held.status ?? 1
}
