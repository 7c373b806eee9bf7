import { outsideAddresses } from '../base/index.ts'

/**
 * The addresses of this machine. A network manager that takes a card over may give it another address; the
 * connections that were made with the old one then live on at both ends, and nothing passes through them.
 */
export class OwnAddresses {
  readonly #read: () => ReadonlySet<string>
  #known: ReadonlySet<string>

  constructor(read: () => ReadonlySet<string> = addressesOfHost) {
    this.#read = read
    this.#known = read()
  }

  /** Whether an address is gone that was there when this was last asked. */
  hasLostOne(): boolean {
    const former = this.#known
    this.#known = this.#read()
    return [...former].some(address => !this.#known.has(address))
  }
}

function addressesOfHost(): ReadonlySet<string> {
  return new Set(outsideAddresses().map(({ address }) => address))
}
