import test from 'ava'
import fc from 'fast-check'
import { Availability } from '../../src/scheduler/availability.ts'

const itemCount = 37

type Change =
  | { type: 'all'; peer: string }
  | { type: 'remove'; peer: string }
  | { type: 'map'; peer: string; first: number; bits: Uint8Array }
  | { type: 'set'; peer: string; item: number; has: boolean }

const peer = fc.constantFrom('a', 'b')
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ type: fc.constant('all' as const), peer }),
  fc.record({ type: fc.constant('remove' as const), peer }),
  fc.record({
    type: fc.constant('map' as const),
    peer,
    first: fc.nat(8).map(n => n * 8),
    bits: fc.uint8Array({ minLength: 1, maxLength: 8 })
  }),
  fc.record({
    type: fc.constant('set' as const),
    peer,
    item: fc.nat(itemCount + 10),
    has: fc.boolean()
  })
)

/** The same in the plainest way: a set of items for each peer. A peer that has all has new maps too. */
class Model {
  #items = new Map<string, Set<number>>()
  #all = new Set<string>()

  apply(made: Change): void {
    const items = this.#items.get(made.peer) ?? new Set()
    this.#items.set(made.peer, items)
    if (made.type === 'remove') {
      this.#items.delete(made.peer)
      this.#all.delete(made.peer)
    } else if (made.type === 'all') {
      this.#all.add(made.peer)
      for (let item = 0; item < itemCount; item += 1) items.add(item)
    } else if (made.type === 'set') {
      this.#put(items, made.item, made.has)
      if (!made.has && made.item < itemCount) this.#all.delete(made.peer)
    } else if (!this.#all.has(made.peer)) {
      for (let bit = 0; bit < made.bits.length * 8; bit += 1) {
        const has = ((made.bits[bit >> 3] ?? 0) & (0x80 >> (bit % 8))) !== 0
        this.#put(items, made.first + bit, has)
      }
    }
  }

  #put(items: Set<number>, item: number, has: boolean): void {
    if (has && item < itemCount) items.add(item)
    else items.delete(item)
  }

  has(id: string, item: number): boolean {
    return this.#items.get(id)?.has(item) ?? false
  }
}

test('after any announcements it is known who has what', t => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), changes => {
      const [real, model] = [new Availability(itemCount), new Model()]
      for (const made of changes) {
        model.apply(made)
        if (made.type === 'all') real.setAll(made.peer)
        else if (made.type === 'remove') real.remove(made.peer)
        else if (made.type === 'map') real.setMap(made.peer, made.first, made.bits)
        else real.set(made.peer, made.item, made.has)
      }
      for (const id of ['a', 'b', 'c']) {
        for (let item = 0; item < itemCount; item += 1) {
          t.is(real.has(id, item), model.has(id, item), `${id} ${item}`)
        }
      }
    }),
    { numRuns: 300 }
  )
})

test('bit 7 of the first byte is the first item of a map', t => {
  const availability = new Availability(20)
  availability.setMap('a', 8, Uint8Array.of(0b1000_0001, 0b0100_0000))
  const items = Array.from({ length: 20 }, (_, item) => item)
  t.deepEqual(
    items.filter(item => availability.has('a', item)),
    [8, 15, 17]
  )
})

test('a map that begins beyond the last item changes nothing', t => {
  const availability = new Availability(20)
  availability.setMap('a', 0xffff_fff8, Uint8Array.of(255))
  availability.set('a', 0xffff_ffff, true)
  t.false(availability.has('a', 0))
  t.false(availability.has('a', 0xffff_ffff))
})
