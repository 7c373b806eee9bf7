import { execFile, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Runs a program to its end and gives what it printed; rejects with what it complained of. */
export async function run(
  file: string,
  args: readonly string[],
  signal?: AbortSignal
): Promise<string> {
  try {
    const { stdout } = await execute(file, args, { maxBuffer: 64 * 1024 * 1024, signal })
    return stdout
  } catch (cause) {
    const { stderr, message } = cause as { stderr?: string; message: string }
    const why = stderr === undefined || stderr.trim() === '' ? message : stderr.trim()
    throw new Error(`${file} ${args.slice(0, 6).join(' ')}: ${why}`, { cause })
  }
}

/** For the last moments of the process, when nothing can be awaited; what fails has gone already. */
export function runNow(file: string, args: readonly string[]): string {
  return spawnSync(file, args, { encoding: 'utf8' }).stdout
}

/** Throws one line that names every package that is missing; `programs` is program → package. */
export function needPrograms(programs: Readonly<Record<string, string>>): void {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  const missing = Object.entries(programs).filter(
    ([program]) => !folders.some(folder => isProgram(join(folder, program)))
  )
  if (missing.length === 0) return
  const names = missing.map(([program]) => program).join(', ')
  const packages = [...new Set(missing.map(([, name]) => name))].join(' ')
  throw new Error(`the lab needs ${names}: apt-get install ${packages}`)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
