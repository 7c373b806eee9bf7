import { openSync } from 'node:fs'
import koffi from 'koffi'

// In the guest: connects /dev/nbdN to an NBD server's socket, and stays for as long as it is served.
// The image has no nbd-client; linux/nbd.h and the NBD project's doc/proto.md say what there is to do.

const [device = '', socketPath = ''] = process.argv.slice(2)
const libc = koffi.load('libc.so.6')
const socket = libc.func('int socket(int domain, int type, int protocol)')
const connect = libc.func('int connect(int fd, uint8_t *address, int length)')
const read = libc.func('int64_t read(int fd, uint8_t *bytes, uint64_t length)')
const write = libc.func('int64_t write(int fd, uint8_t *bytes, uint64_t length)')
const ioctl = libc.func('int ioctl(int fd, unsigned long request, unsigned long value)')

function check(result: unknown, what: string): number {
  if (Number(result) >= 0) return Number(result)
  throw new Error(`${what}: errno ${koffi.errno()}`)
}

function receive(fd: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let done = 0; done < length;) {
    const count = check(read(fd, bytes.subarray(done), length - done), 'read')
    if (count === 0) throw new Error('the server hung up')
    done += count
  }
  return bytes
}

const address = Buffer.alloc(110)
address.writeUInt16LE(1, 0)
address.write(socketPath, 2)
const fd = check(socket(1, 1, 0), 'socket')
check(connect(fd, address, address.length), 'connect')
receive(fd, 18)
const hello = Buffer.alloc(4 + 16)
hello.writeUInt32BE(3, 0)
hello.write('IHAVEOPT', 4)
hello.writeUInt32BE(1, 12)
check(write(fd, hello, hello.length), 'write')
const answer = receive(fd, 10)

const requests = {
  setSocket: 0xab00,
  blockSize: 0xab01,
  doIt: 0xab03,
  blocks: 0xab07,
  flags: 0xab0a
}
const nbd = openSync(device, 'r+')
check(ioctl(nbd, requests.blockSize, 512), 'block size')
check(ioctl(nbd, requests.blocks, Number(answer.readBigUInt64BE(0) / 512n)), 'size')
check(ioctl(nbd, requests.flags, answer.readUInt16BE(8)), 'flags')
check(ioctl(nbd, requests.setSocket, fd), 'socket of the device')
process.stdout.write(`${device} is attached\n`)
ioctl(nbd, requests.doIt, 0)
