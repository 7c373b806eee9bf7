import { BootswarmError } from '../base/index.ts'

/** One of the words that an option can be; ERR_USAGE naming the option and all of them. */
export function choiceOf<Choice extends string>(
  option: string,
  text: string,
  choices: readonly Choice[]
): Choice {
  const choice = choices.find(known => known === text)
  if (choice !== undefined) return choice
  const known = choices.map(word => `'${word}'`).join(', ')
  throw new BootswarmError('ERR_USAGE', `${option} ${text} is none of ${known}`)
}

/** A whole number from `min` to `max`; ERR_USAGE naming the option. */
export function wholeNumberOf(option: string, text: string, min: number, max: number): number {
  const value = text === '' ? Number.NaN : Number(text)
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new BootswarmError(
    'ERR_USAGE',
    `${option} ${text} is not a whole number from ${min} to ${max}`
  )
}
