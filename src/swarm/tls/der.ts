/** The few ASN.1 types that a libp2p certificate is made of, by their DER tag (X.690, 8). */
export const derTags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** `[0]` and `[3]` of a certificate: its version and its extensions (RFC 5280, 4.1). */
  explicit0: 0xa0,
  explicit3: 0xa3
} as const

export interface DerElement {
  readonly tag: number
  readonly content: Uint8Array
  /** Tag and length too. */
  readonly whole: Uint8Array
}

/** One element that holds `contents` one behind the other. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content])
}

/** An OBJECT IDENTIFIER from its dotted form. */
export function derObjectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return der(derTags.objectId, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

/** The elements that lie one behind the other in `bytes`; throws RangeError for what is not DER. */
export function derElements(bytes: Uint8Array): DerElement[] {
  const elements: DerElement[] = []
  for (let rest = bytes; rest.length > 0;) {
    const element = firstElement(rest)
    elements.push(element)
    rest = rest.subarray(element.whole.length)
  }
  return elements
}

function firstElement(bytes: Uint8Array): DerElement {
  const [tag = 0, short = 0] = bytes
  const isLong = short >= 0x80
  const lengthBytes = isLong ? short - 0x80 : 0
  // Four bytes of length are more than any certificate that TLS lets through.
  if (bytes.length < 2 || lengthBytes > 4 || short === 0x80) throw new RangeError('malformed DER')
  const start = 2 + lengthBytes
  const length = isLong
    ? bytes.subarray(2, start).reduce((sum, byte) => sum * 0x100 + byte, 0)
    : short
  if (bytes.length < start + length) throw new RangeError('a DER element is cut off')
  const whole = bytes.subarray(0, start + length)
  return { tag, content: whole.subarray(start), whole }
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  if (length < 0x100) return Buffer.from([0x81, length])
  return Buffer.from([0x82, length >> 8, length & 0xff])
}

function base128(value: number): number[] {
  const digits = [value & 0x7f]
  for (let rest = value >> 7; rest > 0; rest >>= 7) digits.unshift((rest & 0x7f) | 0x80)
  return digits
}
