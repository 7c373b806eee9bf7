import test from 'ava'
import fc from 'fast-check'
import { EventQueue } from './event-queue.ts'

test('events come by time, and in the order of asking within an instant', t => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 3_000 }), times => {
      const queue = new EventQueue()
      const happened: [number, number][] = []
      for (const [order, time] of times.entries()) {
        queue.at(time, () => happened.push([time, order]))
      }
      while (queue.step(Infinity));
      const expected = times.map((time, order): [number, number] => [time, order])
      expected.sort(([a, first], [b, second]) => a - b || first - second)
      t.deepEqual(happened, expected)
    })
  )
})

test('what an event asks for happens after it, and nothing happens behind the end', t => {
  const queue = new EventQueue()
  const seen: number[] = []
  const again = (): void => {
    seen.push(queue.now)
    queue.after(10, again)
  }
  queue.at(-5, again)
  while (queue.step(25));
  t.deepEqual(seen, [0, 10, 20])
})
