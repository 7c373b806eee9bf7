/** What a person can act on; anything else that is thrown is a defect and shows its stack. */
export class SetupError extends Error {
  constructor(message, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

/** To stderr: the launcher runs set-up before a command whose stdout belongs to scripts. */
export function say(line) {
  process.stderr.write(`setup: ${line}\n`)
}

/** Says what is being done, does it, and says how long it took. */
export function step(title, work) {
  say(`${title} …`)
  const start = Date.now()
  work()
  say(`${title}: done in ${((Date.now() - start) / 1000).toFixed(1)} s`)
}

/** The end of a program's output, enough to see why it failed. */
export function lastLines(text, count = 40) {
  return text.trimEnd().split('\n').slice(-count).join('\n')
}
