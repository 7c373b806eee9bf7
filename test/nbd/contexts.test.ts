import test from 'ava'
import fc from 'fast-check'
import type { Extent } from '../../src/base/index.ts'
import { contextsOf, matchingContexts, statusOf } from '../../src/nbd/contexts.ts'
import { data, hole, mappedDevice, remote, written } from '../helpers/mapped-device.ts'
import { memoryDevice } from '../helpers/memory-device.ts'

const mapped = mappedDevice(8192, [])
const [allocation, presence] = contextsOf(mapped)
const wide = { length: 2 ** 40, countMax: 100, lengthMax: 2 ** 53, one: false }

test('a device that knows of its blocks has two contexts, another one', t => {
  t.deepEqual(
    contextsOf(mapped).map(({ name }) => name),
    ['base:allocation', 'bootswarm:presence']
  )
  t.is(contextsOf(memoryDevice(512)).length, 1)
})

test('a wildcard lists and does not select', t => {
  const names = (queries: string[], listing: boolean): string[] =>
    matchingContexts(mapped, queries, listing).map(({ name }) => name)
  t.deepEqual(names(['bootswarm:'], true), ['bootswarm:presence'])
  t.deepEqual(names(['bootswarm:', 'base:allocation'], false), ['base:allocation'])
  t.deepEqual(names([], false), [])
})

test('what each context says', t => {
  const extents = [data(1), hole(2), remote(3), written(4)]
  t.deepEqual(allocation && statusOf(allocation, extents, wide), [
    { length: 1, flags: 0 },
    { length: 2, flags: 3 },
    { length: 7, flags: 0 }
  ])
  t.deepEqual(presence && statusOf(presence, extents, wide), [
    { length: 3, flags: 0 },
    { length: 3, flags: 1 },
    { length: 4, flags: 2 }
  ])
})

test('one run only, however long, for those who ask for one', t => {
  const extents = [data(1), remote(3), hole(2)]
  t.deepEqual(allocation && statusOf(allocation, extents, { ...wide, one: true }), [
    { length: 4, flags: 0 }
  ])
})

const someExtents = fc.array(
  fc
    .tuple(fc.constantFrom(data, hole, remote, written), fc.integer({ min: 1, max: 5000 }))
    .map(([make, length]) => make(length)),
  { minLength: 1, maxLength: 20 }
)

test('whatever the bounds: at least one run, none empty, none beyond them, all of them true', t => {
  fc.assert(
    fc.property(
      someExtents,
      fc.record({
        length: fc.integer({ min: 1, max: 60_000 }),
        countMax: fc.integer({ min: 1, max: 5 }),
        lengthMax: fc.integer({ min: 1, max: 6000 }),
        one: fc.boolean()
      }),
      fc.constantFrom(...contextsOf(mapped)),
      (extents, bounds, context) => {
        const runs = statusOf(context, extents, bounds)
        const total = runs.reduce((sum, { length }) => sum + length, 0)
        if (runs.length < 1 || runs.length > (bounds.one ? 1 : bounds.countMax)) return false
        if (total > bounds.length || runs.some(run => run.length < 1)) return false
        if (runs.some(run => run.length > bounds.lengthMax)) return false
        const said = runs.flatMap(({ length, flags }) => Array<number>(length).fill(flags))
        const known = extents.flatMap((extent: Extent) =>
          Array<number>(extent.length).fill(context.flagsOf(extent))
        )
        return said.every((flags, at) => flags === known[at])
      }
    )
  )
  t.pass()
})
