import test from 'ava'
import fc from 'fast-check'
import { limits } from '../../src/base/index.ts'
import { Neighbours } from '../../src/agent/neighbours.ts'

function knowing(count: number): Neighbours<{ readonly peerId: string }> {
  const neighbours = new Neighbours<{ readonly peerId: string }>()
  for (let n = 0; n < count; n += 1) neighbours.learn({ peerId: `p${n}` })
  return neighbours
}

const nobody = (): boolean => false

test('those that were heard of last are tried first, a few at a time', t => {
  const tried = knowing(20).toTry(nobody, 0)
  t.true(tried.length < limits.neighboursMax)
  t.is(tried[0]?.peerId, 'p19')
})

test('who was chosen and is not linked is tried again; who is linked and was not chosen, too', t => {
  const neighbours = knowing(2)
  neighbours.choose('p0')
  const ids = (linked: readonly string[]): string[] =>
    neighbours.toTry(peerId => linked.includes(peerId), 0).map(({ peerId }) => peerId)
  t.deepEqual(ids([]), ['p1', 'p0'])
  t.deepEqual(ids(['p0', 'p1']), ['p1'])
  neighbours.drop('p0')
  t.false(neighbours.has('p0'))
  t.deepEqual(ids(['p0']), ['p1', 'p0'])
})

test('there are never more neighbours by its own choice than the limit, and it remembers no more than it may', t => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 0, max: 40 }),
      fc.boolean(),
      (count, chosen, isYoung) => {
        const { neighboursFirst, neighboursFirstMs, neighboursMax } = limits
        const [upMs, enough] = isYoung ? [0, neighboursFirst] : [neighboursFirstMs, neighboursMax]
        const neighbours = knowing(count)
        for (let n = 0; n < chosen; n += 1) neighbours.choose(`x${n}`)
        const linked = new Set(Array.from({ length: chosen }, (_, n) => `x${n}`))
        for (let round = 0; round < 10; round += 1) {
          for (const { peerId } of neighbours.toTry(id => linked.has(id), upMs)) {
            neighbours.choose(peerId)
            linked.add(peerId)
          }
        }
        const most = Math.min(enough, chosen + Math.min(count, limits.peersKnownMax))
        t.is(linked.size, Math.max(chosen, most))
        t.true(neighbours.all().length <= limits.peersKnownMax)
      }
    )
  )
})
