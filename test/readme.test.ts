import { readFile, symlink, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { callsIn, commandsOf, scriptOf } from './helpers/markdown-commands.ts'
import { projectRoot, runBootswarm, runProgram, temporaryDirectory } from './helpers/process.ts'
import type { Finished } from './helpers/process.ts'

// README.md is run. The rule:
// - every command in a block marked `sh` is typed, from the first to the last, by one bash in a
//   scratch directory that looks like a checkout. What it is given: each image file that is imported
//   and not made by an earlier command (a few MiB of bytes).
// - left out are `git clone`, `cd bootswarm` (the scratch directory is the clone) and npm's commands
//   (CI runs them); the scripts that they name must exist.
// - `seed` and `agent` without --until run beside what follows, until the end.
// - a block marked `console` is not typed: it needs another machine, or root. For these and all
//   others, every subcommand and option of bootswarm must be in its --help.

const readme = (): Promise<string> => readFile(join(projectRoot, 'README.md'), 'utf8')

async function scratchCheckout(t: ExecutionContext): Promise<string> {
  const folder = await temporaryDirectory(t)
  for (const name of ['bin', 'src', 'images', 'package.json', 'node_modules']) {
    await symlink(join(projectRoot, name), join(folder, name))
  }
  return folder
}

async function typeAll(t: ExecutionContext, page: string, folder: string): Promise<Finished> {
  for (const [, file = ''] of page.matchAll(/image import ([\w.-]+)/g)) {
    await writeFile(join(folder, file), randomBytes(4 * 1024 * 1024))
  }
  const script = scriptOf(commandsOf(page))
  return runProgram(t, '/bin/bash', ['-c', script], { cwd: folder })
}

test('every command of the README does what it says', async t => {
  t.timeout(100_000)
  const page = await readme()
  t.true(commandsOf(page).length > 0)
  const typed = await typeAll(t, page, await scratchCheckout(t))
  t.is(typed.code, 0, typed.stderr + typed.stdout)
})

test("every npm script that the README names is the project's", async t => {
  const manifest = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const page = await readme()
  const named = [...page.matchAll(/\bnpm (?:run )?(test:boot|test|setup|demo|check|fix|run \S+)/g)]
  t.true(named.length >= 2)
  for (const [, name = ''] of named) t.true(name.replace('run ', '') in manifest.scripts, name)
})

test('every subcommand and option of bootswarm in the README is in its help', async t => {
  const calls = commandsOf(await readme()).flatMap(({ text }) => callsIn(text))
  for (const { subcommand, options } of calls) {
    const help = await runBootswarm(t, [...subcommand, '--help'])
    t.is(help.code, 0, subcommand.join(' '))
    for (const option of options) {
      const isKnown = help.stdout.split(/[\s,=]+/).includes(option)
      t.true(isKnown, `bootswarm ${subcommand.join(' ')} ${option}`)
    }
  }
})

// The rule itself, on a page with a small stand-in for the program.

const standIn = `#!/bin/sh
case "$1" in
  seed) trap 'exit \${STOP_CODE:-0}' TERM; echo '{"event":"ready"}'; while :; do sleep 0.02; done ;;
  ticket) echo ticket-text ;;
  image) test -s "$3" ;;
  agent) echo "agent $3" ;;
  *) echo "no command $1" >&2; exit 2 ;;
esac
`

const fence = '```'
const page = `# Page
${fence}sh
git clone somewhere/bootswarm
cd bootswarm
npm run demo
bin/bootswarm image import lab.img \\
  --name lab:1      # a comment
${fence}
${fence}console
sudo bin/bootswarm agent --disk /dev/vdb
${fence}
${fence}text
not a command
${fence}
${fence}sh
bin/bootswarm seed --store lab
ticket=$(bin/bootswarm ticket --store lab)
bin/bootswarm agent --ticket "$ticket" --until complete
${fence}
`

async function standInCheckout(t: ExecutionContext): Promise<string> {
  const folder = await temporaryDirectory(t)
  await runProgram(t, '/bin/mkdir', [join(folder, 'bin')])
  await writeFile(join(folder, 'bin/bootswarm'), standIn, { mode: 0o755 })
  return folder
}

test('the rule: commands are typed in order, a seed stays beside them and is stopped', async t => {
  const typed = await typeAll(t, page, await standInCheckout(t))
  t.is(typed.code, 0, typed.stderr)
  t.is(typed.stdout, 'agent ticket-text\n')
})

test('the rule: a command that fails is found', async t => {
  const broken = page.replace('bootswarm ticket', 'bootswarm token')
  const typed = await typeAll(t, broken, await standInCheckout(t))
  t.not(typed.code, 0)
  t.regex(typed.stderr, /no command token/)
})

test('the rule: a process that ends before it is ready, or badly, is found', async t => {
  const early = page.replace('bootswarm seed', 'bootswarm agent')
  t.not((await typeAll(t, early, await standInCheckout(t))).code, 0)
  const badly = page.replace('bin/bootswarm seed', 'env STOP_CODE=3 bin/bootswarm seed')
  t.is((await typeAll(t, badly, await standInCheckout(t))).code, 3)
})

test('the rule: calls are found with their options wherever they stand in a command', t => {
  t.deepEqual(
    callsIn('t=$(bin/bootswarm ticket --store lab) && sudo bootswarm image list --json'),
    [
      { subcommand: ['ticket'], options: ['--store'] },
      { subcommand: ['image', 'list'], options: ['--json'] }
    ]
  )
  t.deepEqual(callsIn('bin/bootswarm --help'), [{ subcommand: [], options: ['--help'] }])
  t.deepEqual(callsIn('npm test'), [])
})
