import test from 'ava'
import fc from 'fast-check'
import { MemoryBudget } from '../../src/nbd/memory-budget.ts'

const never = (): void => {}

test('one holder gets half, the next half of the rest, and there is always some left', t => {
  const budget = new MemoryBudget(1000, 60_000, never)
  let own = 0
  while (budget.take(10, own, never)) own += 10
  t.is(own, 500)
  let other = 0
  while (budget.take(10, other, never)) other += 10
  t.is(other, 250)
  t.true(budget.take(100, 0, never))
})

test('who waits is asked again when memory comes back, and may get it then', t => {
  const budget = new MemoryBudget(100, 60_000, never)
  t.true(budget.take(80, 0, never))
  const got: string[] = []
  const waiter = (name: string, bytes: number) => {
    const retry = (): void => void (budget.take(bytes, 0, retry) && got.push(name))
    return retry
  }
  waiter('first', 60)()
  waiter('second', 30)()
  t.deepEqual(got, [])
  budget.give(80)
  t.deepEqual(got, ['first', 'second'])
  t.is(budget.heldBytes, 90)
})

test('somebody who waits too long is told of, as long as it waits', async t => {
  const starved = Promise.withResolvers<void>()
  let times = 0
  const budget = new MemoryBudget(10, 5, () => {
    if (++times === 2) starved.resolve()
  })
  budget.take(10, 0, never)
  const alive = setInterval(never, 1000)
  budget.take(1, 0, never)
  await starved.promise
  budget.forget(never)
  clearInterval(alive)
  t.pass()
})

test('what is held never exceeds what there is', t => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 60 })), { maxLength: 60 }),
      steps => {
        const budget = new MemoryBudget(100, 60_000, never)
        const own = [0, 0, 0, 0, 0]
        for (const [who, bytes] of steps) {
          const held = own[who] ?? 0
          if (budget.take(bytes, held, never)) own[who] = held + bytes
          else {
            budget.give(held)
            own[who] = 0
          }
          if (budget.heldBytes > 100) return false
          if (budget.heldBytes !== own.reduce((sum, each) => sum + each, 0)) return false
        }
        return true
      }
    )
  )
  t.pass()
})
