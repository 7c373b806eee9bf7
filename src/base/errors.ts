/**
 * Every failure that a user or a script can meet, by its stable code. `exit` is the process's exit
 * code (1 failed, 2 wrong usage); `meaning` goes into docs/ERRORS.md. Where it is thrown, the message
 * names the file, peer or option and says what to do next.
 */
export const errorCatalogue = {
  ERR_USAGE: { exit: 2, meaning: 'An option or argument is missing, unknown or malformed.' },
  ERR_FILE_MISSING: { exit: 1, meaning: 'A file that was named does not exist or cannot be read.' },
  ERR_IMAGE_EMPTY: { exit: 1, meaning: 'The image file has no bytes.' },
  ERR_IMAGE_SIZE: {
    exit: 1,
    meaning: 'The image size is not a multiple of 512 bytes, or is beyond what a manifest can list.'
  },
  ERR_IMAGE_KIND: {
    exit: 1,
    meaning: 'The file is no raw image: a directory, a pipe, or another disk format.'
  },
  ERR_IMAGE_CHANGED: { exit: 1, meaning: 'The image file changed while it was being read.' },
  ERR_IMAGE_UNKNOWN: { exit: 1, meaning: 'No image of that name, tag or CID is known here.' },
  ERR_IMAGE_NAMED: {
    exit: 1,
    meaning: 'An image that still has a name was to be removed by its CID.'
  },
  ERR_NAME_INVALID: { exit: 2, meaning: 'An image name, tag or CID is malformed.' },
  ERR_MANIFEST_INVALID: { exit: 1, meaning: 'A manifest block is malformed or breaks a limit.' },
  ERR_CHUNK_CORRUPT: {
    exit: 1,
    meaning: 'Bytes do not hash to the chunk id that they were asked by.'
  },
  ERR_CHUNK_MISSING: { exit: 1, meaning: 'The store lists an image but lacks one of its chunks.' },
  ERR_STORE_MISSING: { exit: 1, meaning: 'The directory named as a store does not exist.' },
  ERR_STORE_INVALID: { exit: 1, meaning: 'The directory exists but is not a bootswarm store.' },
  ERR_STORE_CORRUPT: {
    exit: 1,
    meaning: 'A pack is shorter than its index says, or a frame is damaged.'
  },
  ERR_STORE_BUSY: { exit: 1, meaning: 'Another process holds what only one may hold.' },
  ERR_FORMAT_VERSION: {
    exit: 1,
    meaning:
      'A store, ticket, disk or peer speaks another format version; the message says which side to upgrade.'
  },
  ERR_TICKET_INVALID: { exit: 1, meaning: 'The ticket is not one, is damaged, or has expired.' },
  ERR_TICKET_USED: {
    exit: 1,
    meaning: 'The ticket was made for another machine, or another has used it: it was for one boot.'
  },
  ERR_TARGET_TOO_SMALL: { exit: 1, meaning: 'The target disk is smaller than the image.' },
  ERR_TARGET_FOREIGN: {
    exit: 1,
    meaning: 'The target disk holds data that is not this deployment; nothing was written.'
  },
  ERR_TARGET_BUSY: { exit: 1, meaning: 'Another agent holds the target disk.' },
  ERR_HAND_OVER: {
    exit: 1,
    meaning: 'The disk cannot be handed over to the machine now, or has been handed over already.'
  },
  ERR_METADATA_CORRUPT: { exit: 1, meaning: 'No intact copy of the disk metadata was found.' },
  ERR_DISK_IO: { exit: 1, meaning: 'The local disk answered a read or write with an error.' },
  ERR_READ_TIMEOUT: {
    exit: 1,
    meaning: 'Nobody could deliver what a read waits for within --read-timeout.'
  },
  ERR_DISK_FULL: { exit: 1, meaning: 'The file system under the target file is full.' },
  ERR_VERIFY_FAILED: { exit: 1, meaning: 'A disk or export does not match its image.' },
  ERR_ADDRESS_IN_USE: {
    exit: 1,
    meaning: 'A socket path or port is already served by another process.'
  },
  ERR_ADDRESS_INSECURE: {
    exit: 2,
    meaning:
      'The NBD address is reachable from other machines and neither TLS nor --insecure was given.'
  },
  ERR_ADDRESS_INVALID: { exit: 2, meaning: 'An address is malformed or cannot be listened on.' },
  ERR_TLS_INVALID: {
    exit: 1,
    meaning: 'A certificate, key or PSK file is damaged or does not fit.'
  },
  ERR_PEER_UNTRUSTED: { exit: 1, meaning: 'A peer has no valid certificate of this lab.' },
  ERR_PEER_PROTOCOL: { exit: 1, meaning: 'A peer sent bytes that break the protocol.' },
  ERR_RELEASE_UNTRUSTED: { exit: 1, meaning: "A release is not signed by the lab's key." },
  ERR_PROFILE_UNTRUSTED: {
    exit: 1,
    meaning: "A boot profile is malformed or not signed by the lab's key; it is not used."
  },
  ERR_NBD_PROTOCOL: {
    exit: 1,
    meaning: 'An NBD client or server broke the protocol, or a request was answered with an error.'
  },
  ERR_NETBOOT_INVALID: {
    exit: 1,
    meaning:
      'A kernel, initramfs or package given to `netboot` is not one, or a file of a netboot directory is missing or damaged.'
  },
  ERR_SEED_NOT_RUNNING: { exit: 1, meaning: 'No running seed answers on the store.' },
  ERR_TOOL_MISSING: { exit: 1, meaning: 'A program that this command needs is not installed.' },
  ERR_DEMO_FAILED: { exit: 1, meaning: 'A process of the demo ended before its work was done.' },
  ERR_STOPPED: { exit: 1, meaning: 'The process was told to stop before the work was done.' },
  ERR_INTERNAL: { exit: 1, meaning: 'A defect in bootswarm; please report it with the log.' }
} as const satisfies Record<string, { exit: 1 | 2; meaning: string }>

export type ErrorCode = keyof typeof errorCatalogue

export class BootswarmError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'BootswarmError'
    this.code = code
  }

  get exitCode(): 1 | 2 {
    return errorCatalogue[this.code].exit
  }
}

export function isErrorCode(error: unknown, code: ErrorCode): error is BootswarmError {
  return error instanceof BootswarmError && error.code === code
}

/** What a caught value says, whatever it is. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The `code` of a system error (ENOENT, EADDRINUSE, …), if that is what it is. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
