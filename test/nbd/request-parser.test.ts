import test from 'ava'
import fc from 'fast-check'
import { BufferPool } from '../../src/nbd/buffer-pool.ts'
import { ByteQueue } from '../../src/nbd/byte-queue.ts'
import { nbdLimits } from '../../src/nbd/nbd-limits.ts'
import type { ExportBounds } from '../../src/nbd/request-rules.ts'
import { RequestParser, type RequestStep } from '../../src/nbd/request-parser.ts'
import { patterned } from '../conformance/block-device.ts'
import {
  DISC,
  EINVAL,
  ENOSPC,
  EPERM,
  extendedRequestBytesOf,
  FLUSH,
  PAYLOAD_LEN,
  READ,
  requestBytesOf,
  WRITE,
  WRITE_ZEROES
} from './client-bytes.ts'
import { split } from './split-bytes.ts'

const limits = nbdLimits()
const bounds: ExportBounds = { size: 1_000_000, readOnly: false, style: 'simple', contexts: [] }

function parserOf(given = bounds): RequestParser {
  return new RequestParser(given, limits, new BufferPool(0))
}

function stepsOf(pieces: readonly Uint8Array[], parser = parserOf()): RequestStep[] {
  const queue = new ByteQueue()
  const steps: RequestStep[] = []
  for (const piece of pieces) {
    queue.push(Buffer.from(piece))
    for (;;) {
      const step = parser.next(queue, () => true)
      if (step === undefined) break
      steps.push(step)
      if (step.kind === 'disconnect' || step.kind === 'violation') return steps
    }
  }
  return steps
}

test('a request, one with a payload, and the next one', t => {
  const payload = patterned(5000)
  const steps = stepsOf([
    requestBytesOf({ command: READ, cookie: 1n, offset: 4096, length: 512 }),
    requestBytesOf({ command: WRITE, cookie: 2n, offset: 8192, payload }),
    requestBytesOf({ command: FLUSH, cookie: 3n }),
    requestBytesOf({ command: DISC })
  ])
  t.deepEqual(
    steps.map(step => step.kind),
    ['run', 'run', 'run', 'disconnect']
  )
  const write = steps[1]
  t.true(write?.kind === 'run' && payload.equals(write.payload))
  t.deepEqual(write?.kind === 'run' && write.request, {
    flags: 0,
    command: WRITE,
    cookie: 2n,
    offset: 8192,
    sentOffset: 0n,
    length: 5000,
    payloadLength: 5000
  })
})

test('the payload of a refused write is skipped, and the next request found', t => {
  const parser = parserOf({ ...bounds, size: 4096, readOnly: true })
  const steps = stepsOf(
    [
      requestBytesOf({ command: WRITE, cookie: 1n, payload: patterned(3000) }),
      requestBytesOf({ command: READ, cookie: 2n, length: 100 })
    ],
    parser
  )
  t.is(steps[0]?.kind === 'refuse' ? steps[0].error : 0, EPERM)
  t.is(steps[1]?.kind, 'run')
})

test('a write that is too large to wait for is a violation, at its header already', t => {
  const header = requestBytesOf({ command: WRITE, length: limits.nbdRequestBytesMax + 1 })
  t.is(stepsOf([header])[0]?.kind, 'violation')
  t.is(stepsOf([requestBytesOf({ command: WRITE, length: 0xffff_ffff })])[0]?.kind, 'violation')
})

test('bytes that are no request are a violation', t => {
  t.is(stepsOf([Buffer.from('this is certainly not an NBD request')])[0]?.kind, 'violation')
})

test('half a header and half a payload are waited for', t => {
  const bytes = requestBytesOf({ command: WRITE, payload: patterned(100) })
  t.deepEqual(stepsOf([bytes.subarray(0, 27)]), [])
  t.deepEqual(stepsOf([bytes.subarray(0, 127)]), [])
  t.is(stepsOf([bytes.subarray(0, 127), bytes.subarray(127)]).length, 1)
})

test('nothing begins before it is admitted, and it is admitted once', t => {
  const parser = parserOf()
  const queue = new ByteQueue()
  queue.push(requestBytesOf({ command: WRITE, payload: patterned(100) }).subarray(0, 50))
  const asked: number[] = []
  const answer = (yes: boolean) => (bytes: number) => {
    asked.push(bytes)
    return yes
  }
  t.is(parser.next(queue, answer(false)), undefined)
  t.is(queue.length, 22, 'the payload is not gathered yet')
  t.is(parser.next(queue, answer(true)), undefined)
  t.is(queue.length, 0)
  queue.push(patterned(100).subarray(22))
  t.is(parser.next(queue, answer(false))?.kind, 'run')
  t.deepEqual(asked, [100, 100])
})

test('what is refused holds no bytes, but waits for its turn too', t => {
  const parser = parserOf()
  const queue = new ByteQueue()
  queue.push(requestBytesOf({ command: WRITE, offset: bounds.size, payload: patterned(100) }))
  const asked: number[] = []
  t.is(
    parser.next(queue, bytes => asked.push(bytes) > 1),
    undefined
  )
  const step = parser.next(queue, bytes => asked.push(bytes) > 1)
  t.is(step?.kind === 'refuse' ? step.error : 0, ENOSPC)
  t.deepEqual(asked, [0, 0])
})

test('extended requests: lengths of 64 bits, and payloads where a flag says so', t => {
  const extended: ExportBounds = { ...bounds, size: 2 ** 50, style: 'extended' }
  const payload = patterned(3000)
  const steps = stepsOf(
    [
      extendedRequestBytesOf({ command: WRITE_ZEROES, cookie: 1n, length: 2n ** 40n }),
      extendedRequestBytesOf({ command: WRITE, cookie: 2n, flags: PAYLOAD_LEN, payload }),
      // Nothing follows a write that does not say so, and what follows a flush is skipped.
      extendedRequestBytesOf({ command: WRITE, cookie: 3n, length: 100 }),
      extendedRequestBytesOf({ command: FLUSH, cookie: 4n, flags: PAYLOAD_LEN, payload }),
      extendedRequestBytesOf({ command: READ, cookie: 5n, offset: 2n ** 49n, length: 512 })
    ],
    parserOf(extended)
  )
  t.deepEqual(
    steps.map(step => (step.kind === 'refuse' ? step.error : step.kind)),
    ['run', 'run', EINVAL, EINVAL, 'run']
  )
  t.is(steps[0]?.kind === 'run' && steps[0].request.length, 2 ** 40)
  t.true(steps[1]?.kind === 'run' && payload.equals(steps[1].payload))
  const huge = extendedRequestBytesOf({ command: FLUSH, flags: PAYLOAD_LEN, length: 2n ** 63n })
  t.is(stepsOf([huge], parserOf(extended))[0]?.kind, 'violation')
})

test('a request of the other size is a violation', t => {
  const extended: ExportBounds = { ...bounds, style: 'extended' }
  const compact = Buffer.concat([requestBytesOf({ command: READ, length: 1 }), Buffer.alloc(4)])
  t.is(stepsOf([compact], parserOf(extended))[0]?.kind, 'violation')
  t.is(stepsOf([extendedRequestBytesOf({ command: READ, length: 1 })])[0]?.kind, 'violation')
})

const someRequest = fc
  .record({
    command: fc.constantFrom(READ, WRITE, WRITE, FLUSH, 5, 900),
    flags: fc.constantFrom(0, 0, 1, 2),
    cookie: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    offset: fc.constantFrom(0, 4096, 999_990),
    size: fc.nat({ max: 300 })
  })
  .map(({ command, flags, cookie, offset, size }) => {
    const common = { command, flags, cookie, offset }
    return requestBytesOf(
      command === WRITE ? { ...common, payload: patterned(size) } : { ...common, length: size }
    )
  })

test('however the bytes are split, the requests are the same', t => {
  fc.assert(
    fc.property(fc.array(someRequest, { maxLength: 12 }), fc.array(fc.nat()), (requests, cuts) => {
      const whole = requests.flatMap(request => stepsOf([request]))
      t.is(whole.length, requests.length)
      t.deepEqual(stepsOf(split(Buffer.concat(requests), cuts)), whole)
    }),
    { numRuns: 80 }
  )
})

test('arbitrary bytes never throw', t => {
  const magic = Buffer.from('25609513', 'hex')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat()), (bytes, cuts) => {
      stepsOf(split(bytes, cuts))
      stepsOf(split(Buffer.concat([magic, bytes]), cuts))
    })
  )
  t.pass()
})
