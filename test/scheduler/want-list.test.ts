import test from 'ava'
import fc from 'fast-check'
import { requestClasses, seededRandom, type RequestClass } from '../../src/base/index.ts'
import { WantList } from '../../src/scheduler/want-list.ts'

const itemCount = 50
const orderOf = (seed: number): number[] => {
  const list = new WantList(itemCount, seededRandom(seed))
  for (let item = 0; item < itemCount; item += 1) list.set(item, 'background')
  return [...list.background(itemCount)]
}

test('an item is in the class that it was last wanted in, and in no other', t => {
  const change = fc.tuple(
    fc.nat(itemCount + 5),
    fc.constantFrom<RequestClass | 'remove'>(...requestClasses, 'remove')
  )
  fc.assert(
    fc.property(fc.array(change, { maxLength: 80 }), fc.nat(), (changes, seed) => {
      const list = new WantList(itemCount, seededRandom(seed))
      const model = new Map<number, RequestClass>()
      for (const [item, to] of changes) {
        if (to === 'remove') {
          list.remove(item)
          model.delete(item)
        } else {
          list.set(item, to)
          if (item < itemCount) model.set(item, to)
        }
        // Searching moves the place from which the next search begins; nothing may be lost by it.
        for (const found of list.background(3)) t.is(model.get(found), 'background')
      }
      const sorted = (items: Iterable<number>): number[] => [...items].toSorted((a, b) => a - b)
      const of = (wanted: RequestClass): number[] =>
        sorted([...model].flatMap(([item, is]) => (is === wanted ? [item] : [])))
      t.deepEqual(sorted(list.urgent()), of('urgent'))
      t.deepEqual(sorted(list.prefetch()), of('prefetch'))
      t.deepEqual(sorted(list.background(1_000)), of('background'))
    }),
    { numRuns: 300 }
  )
})

test('background comes in an order of its own on every node, the same for the same seed', t => {
  t.deepEqual(orderOf(1), orderOf(1))
  t.notDeepEqual(orderOf(1), orderOf(2))
  t.notDeepEqual(
    orderOf(1),
    orderOf(1).toSorted((a, b) => a - b)
  )
  t.is(new Set(orderOf(1)).size, itemCount)
})

test('every item is first for some node, about as often as any other', t => {
  const firsts = new Map<number, number>()
  for (let seed = 0; seed < 5_000; seed += 1) {
    const [first = -1] = orderOf(seed)
    firsts.set(first, (firsts.get(first) ?? 0) + 1)
  }
  t.is(firsts.size, itemCount)
  for (const [item, count] of firsts) t.true(count > 50 && count < 200, `${item}: ${count}`)
})

test('a search for background ends where it is told to', t => {
  const list = new WantList(itemCount, seededRandom(1))
  for (let item = 0; item < itemCount; item += 1) list.set(item, 'background')
  t.is([...list.background(7)].length, 7)
  t.deepEqual([...list.background(7)], orderOf(1).slice(0, 7))
})

test('urgent items come in the order in which they became urgent', t => {
  const list = new WantList(itemCount, seededRandom(1))
  for (const item of [9, 3, 7]) list.set(item, 'urgent')
  list.set(3, 'urgent')
  t.deepEqual([...list.urgent()], [9, 3, 7])
})
