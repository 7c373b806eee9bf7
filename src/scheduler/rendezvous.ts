// Which of several seeds is a chunk's home: the one with the highest weight for it. Every node that
// knows of the same seeds finds the same, and a seed that goes takes only its own chunks with it.

/** FNV-1a, spread by the last steps of MurmurHash3: quick, and the same on every machine. */
export function weightOf(seed: string, chunk: string): number {
  return spread(hashOf(seed) ^ Math.imul(hashOf(chunk), 0x9e3779b1))
}

/** Undefined when there is no seed. */
export function homeOf(seeds: Iterable<string>, chunk: string): string | undefined {
  let home: string | undefined
  let most = -1
  for (const seed of seeds) {
    const weight = weightOf(seed, chunk)
    if (weight < most || (weight === most && home !== undefined && seed > home)) continue
    home = seed
    most = weight
  }
  return home
}

/** The same weight of a node for an item that is known by its number; `hashed` is the node's `hashOf`. */
export function weightOfItem(hashed: number, item: number): number {
  return spread(hashed ^ Math.imul(item + 1, 0x9e3779b1))
}

export function hashOf(text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  }
  return value
}

function spread(value: number): number {
  let mixed = value ^ (value >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
