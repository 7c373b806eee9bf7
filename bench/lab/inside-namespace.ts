import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'

// The replaying client is one process for all machines: sixteen would spend more time on compiling
// the same code than on reading. Its sockets are made in the machines' namespaces all the same:
// setns(2) moves the calling thread, and libuv makes sockets on the thread of the event loop.

const setns = koffi.load('libc.so.6').func('int setns(int fd, int kind)')
const CLONE_NEWNET = 0x40000000

let turn: Promise<unknown> = Promise.resolve()

/** Makes sockets in a namespace, one caller at a time; nothing else may be started meanwhile. */
export function insideNamespace<T>(namespace: string, work: () => Promise<T>): Promise<T> {
  const result = turn.then(async () => {
    const home = openSync('/proc/thread-self/ns/net', 'r')
    const there = openSync(`/run/netns/${namespace}`, 'r')
    try {
      enter(there, namespace)
      return await work()
    } finally {
      enter(home, 'where the bench is at home')
      closeSync(there)
      closeSync(home)
    }
  })
  turn = result.catch(() => {})
  return result
}

function enter(fd: number, name: string): void {
  if ((setns(fd, CLONE_NEWNET) as number) !== 0) {
    throw new Error(`cannot enter the namespace ${name}: errno ${koffi.errno()}`)
  }
}
