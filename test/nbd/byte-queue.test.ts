import test from 'ava'
import fc from 'fast-check'
import { ByteQueue } from '../../src/nbd/byte-queue.ts'

test('a piece is handed out as a view, what spans pieces as a copy', t => {
  const queue = new ByteQueue()
  const first = Buffer.from('abcdef')
  queue.push(first)
  queue.push(Buffer.from('ghi'))
  const view = queue.take(4)
  first[0] = 0x41
  t.is(view?.toString(), 'Abcd')
  const copy = queue.take(3)
  first[4] = 0x45
  t.is(copy?.toString(), 'efg')
})

test('nothing is taken before all of it is here', t => {
  const queue = new ByteQueue()
  queue.push(Buffer.from('abc'))
  t.is(queue.take(4), undefined)
  t.is(queue.takeWhole(4), undefined)
  t.is(queue.length, 3)
  queue.push(Buffer.from('d'))
  t.is(queue.takeWhole(4), undefined)
  t.is(queue.take(4)?.toString(), 'abcd')
})

test('what is left of a piece that was lent is kept before its memory is used again', t => {
  const queue = new ByteQueue()
  const memory = Buffer.from('abcdef')
  queue.push(Buffer.from('12'))
  queue.lend(memory)
  t.is(queue.take(4)?.toString(), '12ab')
  queue.keep()
  memory.fill('x')
  queue.lend(memory)
  t.is(
    queue.decode(4, (bytes, at) => bytes.toString('utf8', at, at + 4)),
    'cdef'
  )
  t.is(
    queue.decode(7, () => 'too early'),
    undefined
  )
  t.is(queue.take(6)?.toString(), 'xxxxxx')
  queue.keep()
  t.is(queue.length, 0)
})

test('what is kept is not changed by whoever lent it', t => {
  const queue = new ByteQueue()
  const shared = Buffer.from('abcdef')
  queue.lend(shared)
  queue.take(2)
  queue.keep()
  shared.write('ghijkl')
  queue.lend(shared)
  queue.keep()
  shared.fill(0)
  t.is(queue.length, 10)
  t.is(queue.take(10)?.toString(), 'cdefghijkl')
  queue.keep()
  t.is(queue.length, 0)
})

const operation = fc.oneof(
  fc.record({
    kind: fc.constantFrom(...(['push', 'lend'] as const)),
    bytes: fc.uint8Array({ maxLength: 40 })
  }),
  fc.record({
    kind: fc.constantFrom(...(['take', 'takeWhole', 'decode', 'drain', 'skip'] as const)),
    length: fc.nat({ max: 60 })
  })
)

test('any history gives the bytes in their order', t => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), operations => {
      const queue = new ByteQueue()
      let model = Buffer.alloc(0)
      for (const step of operations) {
        let out: Buffer | undefined
        if ('bytes' in step) {
          const memory = Buffer.from(step.bytes)
          queue[step.kind](memory)
          model = Buffer.concat([model, step.bytes])
          if (step.kind === 'push') continue
          queue.keep()
          memory.fill(0)
          continue
        }
        const { length } = step
        if (step.kind === 'take') {
          out = queue.take(length)
          if ((out === undefined) !== length > model.length)
            throw new Error('take came at another time')
        } else if (step.kind === 'takeWhole') out = queue.takeWhole(length)
        else if (step.kind === 'decode') {
          out = queue.decode(length, (bytes, at) => bytes.subarray(at, at + length))
        } else if (step.kind === 'skip') {
          const skipped = queue.skip(length)
          if (skipped !== Math.min(length, model.length)) throw new Error(`skipped ${skipped}`)
          model = model.subarray(skipped)
        } else {
          const target = Buffer.alloc(length)
          out = target.subarray(0, queue.drainInto(target, 0))
          if (out.length !== Math.min(length, model.length))
            throw new Error(`drained ${out.length}`)
        }
        if (out !== undefined) {
          if (!model.subarray(0, out.length).equals(out)) throw new Error('other bytes')
          model = model.subarray(out.length)
        }
        if (queue.length !== model.length) throw new Error(`length ${queue.length}`)
      }
    })
  )
  t.pass()
})
