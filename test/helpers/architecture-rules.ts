import { posix } from 'node:path'
import ts from 'typescript'

// The import rules of docs/ARCHITECTURE.md and the few rules of style that a machine can judge, as a
// function from sources to broken rules.

const rooms = [
  ...(['base', 'image', 'store', 'swarm', 'scheduler', 'disk', 'nbd'] as const),
  ...(['control', 'observe', 'netboot', 'seed', 'agent', 'demo', 'cli'] as const)
] as const
type Room = (typeof rooms)[number]

const processRooms: readonly Room[] = ['seed', 'agent', 'demo', 'cli']
const belowProcesses = rooms.filter(room => !processRooms.includes(room))

/** Which rooms a room may import, through their doors. */
const mayImport: Readonly<Record<Room, readonly Room[]>> = {
  base: [],
  image: ['base'],
  store: ['base', 'image'],
  swarm: ['base', 'image'],
  scheduler: ['base', 'image'],
  disk: ['base', 'image'],
  nbd: ['base'],
  control: ['base', 'image', 'store'],
  observe: ['base'],
  netboot: ['base', 'image', 'store', 'control'],
  seed: belowProcesses,
  agent: belowProcesses,
  demo: [...belowProcesses, 'seed', 'agent'],
  cli: rooms
}

export const linesMax = 400

// What decides must be replayable from a seed: no clock, no chance, nothing from outside.
const bannedInScheduler = new Set([
  'Math.random',
  'Date.now',
  'performance.now',
  'new Date',
  'Date()',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'process.hrtime',
  'process.nextTick'
])

/** Paths are relative to the project, with slashes: `src/disk/index.ts`. */
export type Sources = ReadonlyMap<string, string>

/** Every broken rule, one a line, beginning with the path of the file that breaks it. */
export function brokenRules(sources: Sources): string[] {
  const inFiles = [...sources].flatMap(([path, source]) => {
    const file = parse(path, source)
    return [
      ...brokenLength(path, source),
      ...brokenPlace(path),
      ...imports(file).flatMap(specifier => brokenImport(path, specifier)),
      ...(roomOf(path) === 'scheduler' ? brokenPurity(path, file) : [])
    ]
  })
  return [...inFiles, ...missingDoors(sources)]
}

/** The codes that a source makes errors of; asking for a code with isErrorCode is no such use. */
export function thrownCodes(path: string, source: string): Set<string> {
  const codes = new Set<string>()
  visit(parse(path, source), node => {
    if (!ts.isStringLiteralLike(node) || !/^ERR_[A-Z_]+$/.test(node.text)) return
    if (!isQuestion(node)) codes.add(node.text)
  })
  return codes
}

const equalities = new Set([
  ts.SyntaxKind.EqualsEqualsEqualsToken,
  ts.SyntaxKind.ExclamationEqualsEqualsToken
])

function isQuestion(node: ts.Node): boolean {
  const { parent } = node
  if (ts.isCallExpression(parent)) return parent.expression.getText() === 'isErrorCode'
  const isComparison = ts.isBinaryExpression(parent) && equalities.has(parent.operatorToken.kind)
  return isComparison || ts.isCaseClause(parent) || ts.isLiteralTypeNode(parent)
}

function brokenLength(path: string, source: string): string[] {
  const lines = source.trimEnd().split('\n').length
  return lines > linesMax ? [`${path} has ${lines} lines; the most is ${linesMax}`] : []
}

function brokenPlace(path: string): string[] {
  if (!path.startsWith('src/')) return []
  const [, folder = '', ...inside] = path.split('/')
  if (inside.length === 0) return [`${path} lies in no room`]
  return isRoom(folder) ? [] : [`${path} lies in '${folder}', which is no room`]
}

function missingDoors(sources: Sources): string[] {
  const inhabited = new Set([...sources.keys()].map(roomOf))
  // Nobody imports the command line: it starts at its main.ts.
  inhabited.delete('cli')
  return [...inhabited].flatMap(room => {
    const door = `src/${room}/index.ts`
    return room === undefined || sources.has(door) ? [] : [`${door} is missing: a room has a door`]
  })
}

function brokenImport(path: string, specifier: string): string[] {
  const room = roomOf(path)
  if (!specifier.startsWith('.')) {
    const isOutside = room === 'scheduler' && specifier.startsWith('node:')
    return isOutside ? [`${path} imports ${specifier}: the scheduler is pure`] : []
  }
  const target = posix.join(posix.dirname(path), specifier)
  if (!/\.(ts|mts|mjs|js|json)$/.test(target)) {
    return [`${path} imports ${specifier} without its extension`]
  }
  // Tests and benches may enter everywhere.
  if (!path.startsWith('src/')) return []
  const other = roomOf(target)
  if (other === undefined) return [`${path} imports ${specifier}, which is outside src/`]
  if (room === undefined || other === room) return []
  if (!mayImport[room].includes(other)) return [`${path} imports ${other}/, which ${room}/ may not`]
  const isDoor = target === `src/${other}/index.ts`
  return isDoor ? [] : [`${path} enters ${other}/ by ${specifier}, not by its index.ts`]
}

function brokenPurity(path: string, file: ts.SourceFile): string[] {
  const broken: string[] = []
  visit(file, node => {
    const name = bannedName(node, file)
    if (name === undefined) return
    const { line } = file.getLineAndCharacterOfPosition(node.getStart(file))
    broken.push(`${path}:${line + 1} uses ${name}: the scheduler is pure`)
  })
  return broken
}

function bannedName(node: ts.Node, file: ts.SourceFile): string | undefined {
  const name = ts.isPropertyAccessExpression(node)
    ? node.getText(file)
    : ts.isNewExpression(node)
      ? `new ${node.expression.getText(file)}`
      : ts.isCallExpression(node) && node.expression.getText(file) === 'Date'
        ? 'Date()'
        : ts.isIdentifier(node) && !ts.isPropertyAccessExpression(node.parent)
          ? node.text
          : undefined
  return name !== undefined && bannedInScheduler.has(name) ? name : undefined
}

/** What a file imports or re-exports, statically, dynamically or as a type. */
function imports(file: ts.SourceFile): string[] {
  const found: string[] = []
  visit(file, node => {
    const specifier = specifierOf(node)
    if (specifier !== undefined && ts.isStringLiteralLike(specifier)) found.push(specifier.text)
  })
  return found
}

function specifierOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return node.argument.literal
  if (ts.isNewExpression(node)) return workerFile(node)
  if (!ts.isCallExpression(node)) return undefined
  const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword
  const isResolve = node.expression.getText() === 'import.meta.resolve'
  return isImport || isResolve ? node.arguments[0] : undefined
}

/** `new URL('./worker.ts', import.meta.url)` reaches a source as an import does. */
function workerFile(node: ts.NewExpression): ts.Node | undefined {
  const [path, base] = node.arguments ?? []
  if (path === undefined || base?.getText() !== 'import.meta.url') return undefined
  return ts.isStringLiteralLike(path) && path.text.endsWith('.ts') ? path : undefined
}

function roomOf(path: string): Room | undefined {
  const [top, folder = ''] = path.split('/')
  return top === 'src' && isRoom(folder) ? folder : undefined
}

function isRoom(folder: string): folder is Room {
  return (rooms as readonly string[]).includes(folder)
}

function parse(path: string, source: string): ts.SourceFile {
  return ts.createSourceFile(path, source, ts.ScriptTarget.ES2024, true)
}

function visit(node: ts.Node, use: (node: ts.Node) => void): void {
  use(node)
  ts.forEachChild(node, child => visit(child, use))
}
