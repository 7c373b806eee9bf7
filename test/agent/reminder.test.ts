import test from 'ava'
import { Reminder } from '../../src/agent/reminder.ts'

test('it is said at once, then less and less often, and anew when it was over', t => {
  const reminder = new Reminder(2, 10)
  const said = (from: number, to: number): number[] =>
    Array.from({ length: to - from }, (_, ms) => from + ms).filter(ms => reminder.due(ms))
  t.deepEqual(said(100, 140), [100, 102, 106, 114, 124, 134])
  reminder.over()
  t.deepEqual(said(140, 147), [140, 142, 146])
})
