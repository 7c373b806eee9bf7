import { execFile } from 'node:child_process'
import { access, readFile, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { errorCatalogue } from '../src/base/index.ts'
import { brokenRules, linesMax, thrownCodes } from './helpers/architecture-rules.ts'
import { projectRoot } from './helpers/process.ts'

// The style guide is a test: rooms, doors, arrows, purity, lengths, and pages that say what is so.

async function filesIn(folder: string, pattern: RegExp): Promise<string[]> {
  const found = await readdir(join(projectRoot, folder), { recursive: true }).catch(() => [])
  return found.filter(path => pattern.test(path)).map(path => join(folder, path))
}

async function readAll(paths: readonly string[]): Promise<Map<string, string>> {
  const sources = new Map<string, string>()
  for (const path of paths) sources.set(path, await readFile(join(projectRoot, path), 'utf8'))
  return sources
}

async function allSources(): Promise<Map<string, string>> {
  const folders = ['src', 'test', 'bench', 'scripts']
  const paths = await Promise.all(folders.map(folder => filesIn(folder, /\.(ts|mjs)$/)))
  return readAll(paths.flat())
}

test('no source breaks a rule', async t => {
  const sources = await allSources()
  t.true(sources.size > 10)
  t.deepEqual(brokenRules(sources), [])
})

const door = (room: string): [string, string] => [`src/${room}/index.ts`, 'export {}\n']
const nothing = 'export {}\n'

test('a tree that keeps the rules is accepted', t => {
  const sources = new Map([
    door('base'),
    door('image'),
    door('disk'),
    door('agent'),
    ['src/image/cut.ts', `import type { Frame } from '../base/index.ts'\nimport './index.ts'\n`],
    ['src/disk/map.ts', `import fs from 'node:fs'\nexport * from '../image/index.ts'\n`],
    ['src/agent/agent.ts', `import { open } from '../disk/index.ts'\nconst now = Date.now()\n`],
    ['src/cli/main.ts', `await import('../agent/index.ts')\n// import '../disk/map.ts'\n`],
    ['test/disk/map.test.ts', `import { map } from '../../src/disk/map.ts'\n`]
  ])
  t.deepEqual(brokenRules(sources), [])
})

const violations: Record<string, { path: string; source: string; says: RegExp }> = {
  'an arrow that the table does not have': {
    path: 'src/disk/map.ts',
    source: `import { ask } from '../swarm/index.ts'\n`,
    says: /imports swarm\/, which disk\/ may not/
  },
  'base importing a room': {
    path: 'src/base/limits.ts',
    source: `import { x } from '../image/index.ts'\n`,
    says: /imports image\/, which base\/ may not/
  },
  'a wrong arrow of types only': {
    path: 'src/nbd/server.ts',
    source: `import type { Disk } from '../disk/index.ts'\n`,
    says: /imports disk\/, which nbd\/ may not/
  },
  'a wrong arrow inside a type': {
    path: 'src/nbd/server.ts',
    source: `let disk: import('../disk/index.ts').Disk\n`,
    says: /imports disk\/, which nbd\/ may not/
  },
  'a wrong arrow taken late': {
    path: 'src/scheduler/plan.ts',
    source: `export const late = () => import('../swarm/index.ts')\n`,
    says: /imports swarm\/, which scheduler\/ may not/
  },
  'a wrong arrow that passes on': {
    path: 'src/store/packs.ts',
    source: `export * from '../disk/index.ts'\n`,
    says: /imports disk\/, which store\/ may not/
  },
  'a wrong arrow to a worker': {
    path: 'src/disk/hash.ts',
    source: `new Worker(new URL('../swarm/index.ts', import.meta.url))\n`,
    says: /imports swarm\/, which disk\/ may not/
  },
  'one process importing the other': {
    path: 'src/seed/seed.ts',
    source: `import { x } from '../agent/index.ts'\n`,
    says: /imports agent\/, which seed\/ may not/
  },
  'the demo importing the command line': {
    path: 'src/demo/demo.ts',
    source: `import '../cli/main.ts'\n`,
    says: /imports cli\/, which demo\/ may not/
  },
  'a way into a room beside its door': {
    path: 'src/agent/agent.ts',
    source: `import { map } from '../disk/map.ts'\n`,
    says: /enters disk\/ by \.\.\/disk\/map\.ts/
  },
  'a source importing a test': {
    path: 'src/agent/agent.ts',
    source: `import '../../test/helpers/process.ts'\n`,
    says: /outside src/
  },
  'an import without its extension': {
    path: 'src/disk/map.ts',
    source: `import './journal'\n`,
    says: /without its extension/
  },
  'a folder that is no room': {
    path: 'src/utils/index.ts',
    source: nothing,
    says: /'utils', which is no room/
  },
  'a file in no room': { path: 'src/main.ts', source: nothing, says: /lies in no room/ },
  'a room without a door': {
    path: 'src/control/http.ts',
    source: nothing,
    says: /src\/control\/index\.ts is missing/
  },
  'a file that is too long': {
    path: 'src/disk/map.ts',
    source: '// line\n'.repeat(linesMax + 1),
    says: /401 lines/
  },
  'a socket in the scheduler': {
    path: 'src/scheduler/plan.ts',
    source: `import net from 'node:net'\n`,
    says: /node:net: the scheduler is pure/
  }
}

for (const [name, { path, source, says }] of Object.entries(violations)) {
  test(`refused: ${name}`, t => {
    const clean = [door('disk'), door('swarm'), door('scheduler'), door('seed'), door('agent')]
    const doors = [...clean, door('base'), door('nbd'), door('store'), door('demo')]
    const broken = brokenRules(new Map([...doors, [path, source]]))
    t.is(broken.length, 1, broken.join('\n'))
    t.regex(broken[0] ?? '', says)
    t.true(broken[0]?.includes(path.split('/').slice(0, 2).join('/')))
  })
}

const impure: [what: string, source: string][] = [
  ['Math.random', 'const x = Math.random()'],
  ['Date.now', 'const now = Date.now'],
  ['performance.now', 'const now = performance.now()'],
  ['new Date', 'const now = new Date()'],
  ['setTimeout', 'setTimeout(() => {}, 5)'],
  ['setInterval', 'const every = setInterval'],
  ['setImmediate', 'setImmediate(() => {})'],
  ['queueMicrotask', 'queueMicrotask(() => {})'],
  ['process.nextTick', 'process.nextTick(() => {})']
]

for (const [what, source] of impure) {
  test(`refused in the scheduler and nowhere else: ${what}`, t => {
    const inScheduler = new Map([door('scheduler'), ['src/scheduler/plan.ts', `${source}\n`]])
    t.deepEqual(brokenRules(inScheduler), [
      `src/scheduler/plan.ts:1 uses ${what}: the scheduler is pure`
    ])
    t.deepEqual(brokenRules(new Map([door('swarm'), ['src/swarm/node.ts', `${source}\n`]])), [])
    const words = `// ${source}\nconst text = "${source}"\n`
    t.deepEqual(brokenRules(new Map([door('scheduler'), ['src/scheduler/plan.ts', words]])), [])
  })
}

test('a code is used where an error is made of it, not where it is asked for', t => {
  const source = `
    if (isErrorCode(error, 'ERR_ASKED') || error.code === 'ERR_COMPARED') {}
    throw new BootswarmError('ERR_THROWN', 'why')
    const code = short ? 'ERR_CHOSEN' : known ?? 'ERR_FALLBACK'
    // throw new BootswarmError('ERR_COMMENT', 'why')
  `
  t.deepEqual([...thrownCodes('src/x/y.ts', source)], ['ERR_THROWN', 'ERR_CHOSEN', 'ERR_FALLBACK'])
})

test('every code of the error catalogue is used somewhere', async t => {
  const sources = await readAll(await filesIn('src', /\.ts$/))
  sources.delete('src/base/errors.ts')
  const used = new Set([...sources].flatMap(([path, source]) => [...thrownCodes(path, source)]))
  t.deepEqual(
    Object.keys(errorCatalogue).filter(code => !used.has(code)),
    []
  )
})

test('the generated pages are what their catalogues say', async t => {
  const script = join(projectRoot, 'scripts/write-docs.mjs')
  await t.notThrowsAsync(promisify(execFile)(process.execPath, [script, '--check']))
})

async function pages(): Promise<Map<string, string>> {
  const inRoot = (await readdir(projectRoot)).filter(path => path.endsWith('.md'))
  return readAll([...inRoot, ...(await filesIn('docs', /\.md$/))])
}

/** A page without its fenced blocks, in which `#` begins a comment and brackets are code. */
function prose(page: string): string {
  return page.replaceAll(/^(```+|~~~+).*?^\1/gms, '')
}

test('every page has one title', async t => {
  for (const [path, page] of await pages()) {
    t.is(prose(page).match(/^# .+/gm)?.length, 1, path)
  }
})

test('every relative link leads to a file, and to a heading where it names one', async t => {
  const all = await pages()
  for (const [path, page] of all) {
    for (const [, link = ''] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue
      const [target = '', anchor] = link.split('#')
      const file = target === '' ? path : join(dirname(path), target)
      await t.notThrowsAsync(access(join(projectRoot, file)), `${path} links to ${link}`)
      if (anchor === undefined) continue
      t.true(anchors(all.get(file) ?? '').has(anchor), `${path} links to ${link}`)
    }
  }
})

/** The anchors that a Markdown viewer gives to headings: lower case, dashes, no punctuation. */
function anchors(page: string): Set<string> {
  const headings = [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
  const slug = (heading: string): string =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-')
  return new Set(headings.map(slug))
}
