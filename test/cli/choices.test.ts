import test from 'ava'
import { choiceOf, wholeNumberOf } from '../../src/cli/choices.ts'
import { throwsWith } from '../helpers/errors.ts'

test('a word that an option knows is taken, any other names the option and what it knows', t => {
  const words = ['keep', 'discard'] as const
  t.is(choiceOf('--writes', 'discard', words), 'discard')
  for (const text of ['', 'Keep', 'keep ', 'toString']) {
    const { message } = throwsWith(t, 'ERR_USAGE', () => choiceOf('--writes', text, words))
    t.is(message, `--writes ${text} is none of 'keep', 'discard'`)
  }
})

test('a whole number within its bounds is taken', t => {
  for (const text of ['2', '17', '20']) t.is(wholeNumberOf('--level', text, 2, 20), Number(text))
  for (const text of ['', '1', '21', '2.5', 'many', '-3', 'Infinity', 'NaN']) {
    const { message } = throwsWith(t, 'ERR_USAGE', () => wholeNumberOf('--level', text, 2, 20))
    t.is(message, `--level ${text} is not a whole number from 2 to 20`)
  }
})
