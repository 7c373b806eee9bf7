import test from 'ava'
import { MessageCounts } from './message-counts.ts'

test('the busiest second counts, without frames', t => {
  const counts = new MessageCounts()
  for (const at of [100, 200, 300]) counts.count('want', at)
  for (const at of [1_100, 1_200, 1_900]) counts.count('have', at)
  counts.count('redirect', 1_950)
  counts.count('frame', 1_960)
  counts.count('want', 5_000)
  t.deepEqual(
    [...counts.busiest],
    [
      ['have', 3],
      ['redirect', 1]
    ]
  )
  t.is(counts.busiestCount, 4)
})
