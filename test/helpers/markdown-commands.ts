// The commands that a page tells its reader to type: the lines of its fenced blocks.

/** `sh`: to be typed in order, in the checkout. `console`: not in this place (root, another machine). */
export type BlockLanguage = 'sh' | 'console'

export interface Command {
  readonly language: BlockLanguage
  readonly text: string
}

/** Comments are left out, continued lines joined. */
export function commandsOf(page: string): Command[] {
  return [...page.matchAll(/^```(sh|console)\n(.*?)^```$/gms)].flatMap(match => {
    const [, language, body = ''] = match as unknown as [string, BlockLanguage, string]
    const lines = body.replaceAll(/\\\n\s*/g, '').split('\n')
    const texts = lines.map(line => line.replace(/^\$ /, '').trim())
    return texts
      .filter(text => text !== '' && !text.startsWith('#'))
      .map(text => ({ language, text }))
  })
}

/** A call of bootswarm inside a command: which subcommand, and with which options. */
export interface Call {
  /** One word, or two for a subcommand in a group: `['image', 'import']`. */
  readonly subcommand: readonly string[]
  readonly options: readonly string[]
}

const groups = new Set(['image', 'machine', 'group', 'netboot'])

/** Every call of bootswarm in a command, those within `$(…)` and behind a pipe or an `&&` too. */
export function callsIn(command: string): Call[] {
  const calls = command.split(/\$\(|\)|\||&&|;|&/)
  return calls.flatMap(call => {
    const words = call.trim().split(/\s+/)
    const at = words.findIndex(word => word === 'bootswarm' || word.endsWith('bin/bootswarm'))
    if (at < 0) return []
    const after = words.slice(at + 1)
    const depth = groups.has(after[0] ?? '') ? 2 : 1
    const subcommand = after.slice(0, depth).filter(word => !word.startsWith('-'))
    const options = after.filter(word => word.startsWith('--'))
    return [{ subcommand, options: options.map(option => option.replace(/=.*/, '')) }]
  })
}

/** What is run by CI itself, or what the scratch directory stands for. */
const leftOut = [/^git clone /, /^cd bootswarm$/, /^npm (run|test|ci|install)\b/]

/** Processes that stay: they run beside the commands that follow them, as in a second terminal. */
function stays(text: string): boolean {
  const isProcess = callsIn(text).some(({ subcommand, options }) => {
    const [name] = subcommand
    return name === 'seed' || (name === 'agent' && !options.includes('--until'))
  })
  return isProcess && !text.includes('$(')
}

/**
 * One bash script that types the `sh` commands one after the other. A seed or an agent is started
 * beside the rest and waited for until it is ready; at the end each must stop cleanly.
 */
export function scriptOf(commands: readonly Command[]): string {
  const typed = commands
    .filter(({ language, text }) => language === 'sh' && !leftOut.some(rule => rule.test(text)))
    .map(({ text }) => (stays(text) ? besides(text) : text))
  const told = typed.map(text => `echo ${quote(`> ${text}`)} >&2\n${text}\n`)
  return [prologue, ...told, epilogue].join('\n')
}

function besides(text: string): string {
  const command = text.replace(/\s*&$/, '')
  const json = /\s--json\b/.test(command) ? command : `${command} --json`
  return `beside ${quote(json)}`
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

const prologue = `set -euo pipefail
pids=()
beside() {
  local log=beside-\${#pids[@]}.log
  eval "exec $1" > "$log" 2>&1 &
  pids+=($!)
  until grep -q '"event":"ready"' "$log"; do
    kill -0 $! 2>/dev/null || { cat "$log" >&2; echo "ended before it was ready: $1" >&2; exit 1; }
    sleep 0.05
  done
}`

const epilogue = `for pid in "\${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
for pid in "\${pids[@]}"; do wait "$pid"; done`
