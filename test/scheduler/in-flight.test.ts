import test from 'ava'
import fc from 'fast-check'
import { InFlight } from '../../src/scheduler/in-flight.ts'

const slowMs = 500
const frame = { peer: fc.constantFrom('a', 'b', 'c'), request: fc.integer({ min: 0, max: 3 }) }
const step = fc.record({
  ...frame,
  what: fc.constantFrom('began', 'moved', 'ended', 'gone'),
  bytes: fc.integer({ min: 1, max: 1000 }),
  waitMs: fc.constantFrom(0, 1, 250, slowMs, slowMs + 1)
})

test('what is counted as it goes is what adding up all frames gives', t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const inFlight = new InFlight()
      const model = new Map<string, { peer: string; bytes: number; movedAt: number }>()
      let now = 0
      for (const { what, peer, request, bytes, waitMs } of steps) {
        now += waitMs
        const key = `${peer} ${request}`
        const known = model.get(key)
        if (what === 'began') {
          inFlight.began(peer, request, bytes, now)
          model.set(key, { peer, bytes, movedAt: now })
        } else if (what === 'moved') {
          inFlight.moved(peer, request, now)
          if (known !== undefined) known.movedAt = now
        } else if (what === 'ended') {
          t.is(inFlight.ended(peer, request), known?.bytes)
          model.delete(key)
        } else {
          inFlight.gone(peer)
          for (const [one, { peer: of }] of model) if (of === peer) model.delete(one)
        }
        t.is(inFlight.has(peer, request), model.has(key))
        t.is(inFlight.size, model.size)
        const frames = [...model.values()]
        const slow = frames.filter(({ movedAt }) => now - movedAt > slowMs)
        t.is(
          inFlight.isSlow(peer, now),
          slow.some(one => one.peer === peer)
        )
        const moving = frames.filter(one => !slow.includes(one))
        t.is(
          inFlight.bytes(now),
          moving.reduce((sum, one) => sum + one.bytes, 0)
        )
      }
    })
  )
})
