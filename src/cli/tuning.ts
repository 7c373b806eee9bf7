import { Option, type Command } from 'commander'
import { BootswarmError } from '../base/index.ts'
import { defaultMechanisms, type Tuning } from '../scheduler/index.ts'
import { wholeNumberOf } from './choices.ts'

// Options of `seed` and `agent` that the lab bench uses to switch the swarm's rules off, one by one.

export interface TuningOptions {
  readonly without?: string
  readonly fallbackMs?: string
}

const fallbackMsMin = 10
const fallbackMsMax = 60_000

/** Not in the help: a lab is never better off without one of the rules. */
export function addTuning(command: Command): Command {
  return command
    .addOption(new Option('--without <mechanism,...>').hideHelp())
    .addOption(new Option('--fallback-ms <ms>').hideHelp())
}

/** ERR_USAGE naming the option. */
export function readTuning({ without = '', fallbackMs }: TuningOptions): Tuning {
  const off = without.split(',').filter(name => name !== '')
  const unknown = off.find(name => !Object.hasOwn(defaultMechanisms, name))
  if (unknown !== undefined) {
    const known = Object.keys(defaultMechanisms).join(', ')
    throw new BootswarmError('ERR_USAGE', `--without ${unknown} is none of ${known}`)
  }
  const mechanisms = Object.fromEntries(off.map(name => [name, false]))
  if (fallbackMs === undefined) return { mechanisms }
  const ms = wholeNumberOf('--fallback-ms', fallbackMs, fallbackMsMin, fallbackMsMax)
  return { mechanisms, fallbackMs: ms }
}
