import type { Life } from '../../test/boot/processes.ts'

type Ending = () => unknown

/** What a test lends to its lab, for a bench: what was started ends, the last first, and notes go to stderr. */
export class BenchLife {
  readonly #endings: Ending[] = []
  /** Nobody keeps a console: what it has to say is in the samples. */
  readonly passed = true

  readonly teardown = (ending: Ending): void => {
    this.#endings.push(ending)
  }

  readonly log = (...values: unknown[]): void => {
    process.stderr.write(`${values.join(' ')}\n`)
  }

  get life(): Life {
    return this as unknown as Life
  }

  async end(): Promise<void> {
    for (const ending of this.#endings.splice(0).reverse()) await ending()
  }
}
