import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { isExecutable, readIfThere } from './files.mjs'
import { SetupError, lastLines, step } from './messages.mjs'

const runtimeMajor = 24

/** True when node_modules was filled from this very package-lock.json and holds the runtime. */
export function npmPackagesAreCurrent(root) {
  return readIfThere(stampPath(root)) === lockHash(root) && isExecutable(runtimePath(root))
}

export function installNpmPackages(root) {
  if (!wasFilledByNpm(root)) step('installing npm packages', () => runNpmCi(root))
  checkRuntime(root)
  writeFileSync(stampPath(root), lockHash(root))
  compileAgent(root)
}

/**
 * An agent whose ticket is none ends as soon as all its code is loaded, and leaves what V8 made of it for all
 * later ones (bin/bootswarm): whoever compiles it himself starts in twice the time, and takes 10 MB more.
 */
function compileAgent(root) {
  const words = [
    'agent',
    '--ticket',
    'none',
    '--image',
    'none',
    '--disk',
    'none',
    '--nbd',
    'unix:none'
  ]
  spawnSync(join(root, 'bin', 'bootswarm'), words, { stdio: 'ignore', timeout: 60_000 })
}

const stampPath = root => join(root, 'node_modules', '.bootswarm-setup')
const runtimePath = root => join(root, 'node_modules', '.bin', 'node')

function lockHash(root) {
  const lock = readIfThere(join(root, 'package-lock.json'))
  if (lock === undefined) {
    throw new SetupError(`${root} has no package-lock.json: is this a whole checkout of bootswarm?`)
  }
  return `${process.arch} ${createHash('sha256').update(lock).digest('hex')}\n`
}

/**
 * Somebody may have run `npm install` or `npm ci` by hand: then npm's own record inside node_modules
 * lists every package of the lock at its version, and there is no need to install it all again.
 */
function wasFilledByNpm(root) {
  const record = readIfThere(join(root, 'node_modules', '.package-lock.json'))
  if (record === undefined || !isExecutable(runtimePath(root))) return false
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const installed = JSON.parse(record).packages
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === '' ||
      (installed[path] === undefined
        ? entry.optional === true
        : installed[path].version === entry.version)
  )
}

function runNpmCi(root) {
  const npm = findNpm(root)
  // Whatever NODE_ENV or a user's configuration leaves out, the runtime is an optional dependency and
  // the tests are development ones.
  const options = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund']
  const result = spawnSync(npm.file, [...npm.args, ...options], {
    cwd: root,
    env: { ...process.env, PATH: hostPath(root) },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024
  })
  if (result.error !== undefined) {
    throw new SetupError(`npm was not found on PATH (${result.error.message}); install: npm`)
  }
  if (result.status !== 0) {
    const why = lastLines(result.stdout + result.stderr)
    throw new SetupError(`npm ci failed (${result.signal ?? `exit ${result.status}`}):\n${why}`)
  }
}

/** Inside `npm run` the same npm goes on, on the Node that it runs on; else the one on PATH. */
function findNpm(root) {
  const { npm_execpath: script, npm_node_execpath: node } = process.env
  const isOurs = node?.startsWith(join(root, 'node_modules')) === true
  if (script?.endsWith('npm-cli.js') && node !== undefined && !isOurs && existsSync(node)) {
    return { file: node, args: [script] }
  }
  return { file: 'npm', args: [] }
}

/** PATH without this checkout's node_modules: `npm ci` deletes the Node that it would run on there. */
function hostPath(root) {
  const inside = join(root, 'node_modules')
  const entries = (process.env.PATH ?? '').split(delimiter)
  return entries.filter(entry => !entry.startsWith(inside)).join(delimiter)
}

function checkRuntime(root) {
  const runtime = runtimePath(root)
  if (!isExecutable(runtime)) {
    throw new SetupError(
      `no Node ${runtimeMajor} runtime came with the packages: bootswarm ships one for Linux on x64 ` +
        `and arm64, and this is ${process.platform} on ${process.arch}`
    )
  }
  const result = spawnSync(runtime, ['--version'], { encoding: 'utf8' })
  if (result.status !== 0) {
    const why = result.error?.message ?? lastLines(result.stderr, 1)
    throw new SetupError(`the runtime ${runtime} does not run on this machine: ${why}`)
  }
  if (!result.stdout.startsWith(`v${runtimeMajor}.`)) {
    throw new SetupError(
      `${runtime} is Node ${result.stdout.trim()}, not ${runtimeMajor}; delete ` +
        `${dirname(dirname(runtime))} and run this again`
    )
  }
}
