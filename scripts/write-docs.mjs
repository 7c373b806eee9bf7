// Writes the pages that are generated from catalogues in the code; with --check it only compares and
// fails when a page is not what its catalogue says.
//
//   node_modules/.bin/node scripts/write-docs.mjs [--check]
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { errorCatalogue } from '../src/base/errors.ts'
import { eventCatalogue } from '../src/observe/events.ts'

const kinds = { text: 'string', texts: 'list of strings', number: 'number', boolean: 'boolean' }

function table(head, rows) {
  const line = cells => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function errorsPage() {
  const rows = Object.entries(errorCatalogue).map(([code, { exit, meaning }]) => {
    return [`\`${code}\``, String(exit), meaning]
  })
  return `# Errors

Every failure that a user or a script can meet has a code that stays the same from release to release;
its message names the file, option or peer and says what to do. A command that fails prints one line,
and with \`--json\` an object \`{"event":"error","code":…,"message":…}\`. Exit code 1 means that it
failed, 2 that it was called wrongly.

This page is generated from \`src/base/errors.ts\` by \`scripts/write-docs.mjs\`.

${table(['code', 'exit', 'meaning'], rows)}
`
}

function fieldRows(fields) {
  return Object.entries(fields).map(([name, { kind, optional, meaning }]) => {
    return [`\`${name}\``, optional ? `${kinds[kind]}, may be absent` : kinds[kind], meaning]
  })
}

function eventSection(name, { meaning, fields }) {
  return `### ${name}\n\n${meaning}\n\n${table(['field', 'type', 'meaning'], fieldRows(fields))}\n`
}

function eventsPage() {
  const sections = Object.entries(eventCatalogue).map(([process, events]) => {
    const all = Object.entries(events).map(([name, event]) => eventSection(name, event))
    return `## bootswarm ${process} --json\n\n${all.join('\n')}`
  })
  return `# Events

With \`--json\` the long-lived processes print one object a line on stdout: \`event\`, then the fields
below. More fields and more events may come in later releases; those listed stay. Logs for people go to
stderr, never between these lines.

This page is generated from \`src/observe/events.ts\` by \`scripts/write-docs.mjs\`.

${sections.join('\n')}`
}

const pages = { 'docs/ERRORS.md': errorsPage(), 'docs/EVENTS.md': eventsPage() }
const root = fileURLToPath(new URL('..', import.meta.url))

for (const [path, wanted] of Object.entries(pages)) {
  if (!process.argv.includes('--check')) writeFileSync(root + path, wanted)
  else if (readFileSync(root + path, 'utf8') !== wanted) {
    console.error(`${path} is out of date: run node_modules/.bin/node scripts/write-docs.mjs`)
    process.exitCode = 1
  }
}
