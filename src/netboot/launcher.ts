import type { Architecture } from './agent-archive.ts'

// A program of some 200 bytes, for what has to be so before Node starts its threads, and for what a shell
// cannot give a program: `launch PROGRAM NAME ARGUMENT…` tells the kernel that this process serves a block
// device (prctl PR_SET_IO_FLUSHER: when memory is short it is never made to wait for the very disk that it
// carries), and becomes PROGRAM with NAME as its first argument. Both are kept by all that it starts.
//
// It is made here byte by byte, because a machine that builds an agent archive has no compiler for the
// machines that run it, and the initramfs has none at all.

const baseAddress = 0x400000n
const headerBytes = 64
const programHeaderBytes = 56
const exitNotStarted = 127

/** linux/prctl.h; man 2 prctl. */
const PR_SET_IO_FLUSHER = 57

interface Machine {
  /** `e_machine` of the ELF header. */
  readonly elfMachine: number
  readonly code: Buffer
}

const machines: Readonly<Record<Architecture, Machine>> = {
  x64: {
    elfMachine: 62,
    code: Buffer.from(
      [
        ['b8', le32(157), 'bf', le32(PR_SET_IO_FLUSHER), 'be', le32(1)], // prctl(PR_SET_IO_FLUSHER, 1,
        ['31d2', '4d31d2', '4d31c0', '0f05'], //                            0, 0, 0)
        ['488b7c2410', '488d742418'], //                           execve(argv[1], argv + 2,
        ['488b0424', '488d54c410', 'b8', le32(59), '0f05'], //            behind argv)
        ['bf', le32(exitNotStarted), 'b8', le32(60), '0f05'] //    exit(127)
      ]
        .flat()
        .join(''),
      'hex'
    )
  },
  arm64: {
    elfMachine: 183,
    code: Buffer.concat(
      [
        ...[move(8, 167), move(0, PR_SET_IO_FLUSHER), move(1, 1)],
        ...[move(2, 0), move(3, 0), move(4, 0), 0xd4000001],
        ...[0xf94003e5, 0xf9400be0, 0x910063e1], // x5 = argc, x0 = argv[1], x1 = argv + 2
        ...[0x910043e2, 0x8b050c42, move(8, 221), 0xd4000001], // x2 = behind argv
        ...[move(0, exitNotStarted), move(8, 93), 0xd4000001]
      ].map(word => {
        const bytes = Buffer.alloc(4)
        bytes.writeUInt32LE(word)
        return bytes
      })
    )
  }
}

/** The program as an ELF file: one header, one segment, no section. */
export function launcherFor(architecture: Architecture): Buffer {
  const { elfMachine, code } = machines[architecture]
  const start = headerBytes + programHeaderBytes
  const file = Buffer.alloc(start + code.length)
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  file.writeUInt16LE(2, 16)
  file.writeUInt16LE(elfMachine, 18)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(baseAddress + BigInt(start), 24)
  file.writeBigUInt64LE(BigInt(headerBytes), 32)
  file.writeUInt16LE(headerBytes, 52)
  file.writeUInt16LE(programHeaderBytes, 54)
  file.writeUInt16LE(1, 56)
  // The segment is the whole file, to be read and executed.
  file.writeUInt32LE(1, headerBytes)
  file.writeUInt32LE(5, headerBytes + 4)
  file.writeBigUInt64LE(baseAddress, headerBytes + 16)
  file.writeBigUInt64LE(baseAddress, headerBytes + 24)
  file.writeBigUInt64LE(BigInt(file.length), headerBytes + 32)
  file.writeBigUInt64LE(BigInt(file.length), headerBytes + 40)
  file.writeBigUInt64LE(4096n, headerBytes + 48)
  file.set(code, start)
  return file
}

function le32(value: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes.toString('hex')
}

/** movz xREGISTER, #value. */
function move(register: number, value: number): number {
  return (0xd2800000 | (value << 5) | register) >>> 0
}
