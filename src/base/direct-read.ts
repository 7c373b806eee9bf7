import type { Socket } from 'node:net'

// Node's `onread` of a socket, for one that another has made: Node takes the option only for sockets that
// it connects itself. What is used of Node here is not documented; Node is pinned, and
// test/base/direct-read.test.ts says so when a version does it in another way.

/** What takes bytes as they come; they are overwritten when it has returned. */
export type TakeBytes = (bytes: Buffer) => void

/** Where the next bytes are to be read to instead, if anywhere. */
export type PlaceBytes = () => Buffer | undefined

interface Handle {
  useUserBuffer?(buffer: Buffer): void
}

/**
 * Has all that comes in read into `buffer` and handed to `take`: as 'data' events each piece would be
 * memory of its own, which costs more than the reading. Several sockets may share the buffer: each takes
 * what it was given before the next is read. `place` is asked after each. What has come in already is
 * handed over first. Without effect, and false, where Node does it in another way.
 */
export function readDirectly(
  socket: Socket,
  buffer: Buffer,
  take: TakeBytes,
  place?: PlaceBytes
): boolean {
  const named = new Map(Object.getOwnPropertySymbols(socket).map(one => [one.description, one]))
  const [bufferKey, takeKey] = [named.get('kBuffer'), named.get('kBufferCb')]
  const placeKey = named.get('kBufferGen')
  const { _handle: handle } = socket as unknown as { _handle: Handle | null }
  if (bufferKey === undefined || takeKey === undefined || placeKey === undefined) return false
  if (handle?.useUserBuffer === undefined) return false
  for (let early = read(socket); early !== null; early = read(socket)) take(early)
  handle.useUserBuffer(buffer)
  Object.assign(socket, {
    [bufferKey]: buffer,
    [takeKey]: (length: number, into: Buffer) => {
      take(into.subarray(0, length))
      return true
    },
    ...(place && { [placeKey]: () => place() ?? buffer })
  })
  socket.resume()
  return true
}

function read(socket: Socket): Buffer | null {
  return socket.read() as Buffer | null
}
