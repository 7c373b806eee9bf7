/** A step of an it-pipe pipeline. */
export type Step<Input, Output> = (
  source: AsyncIterable<Input> | Iterable<Input>
) => AsyncGenerator<Output>

/**
 * A step that works on up to `limit` items at once and hands the results on in order. When one
 * fails, or the consumer leaves, it waits for those under way, so that nothing is still running
 * once the pipeline has ended.
 */
export function inParallel<Input, Output>(
  limit: number,
  work: (item: Input) => Promise<Output>
): Step<Input, Output> {
  return async function* (source) {
    const running: Promise<Output>[] = []
    try {
      for await (const item of source) {
        running.push(observed(work(item)))
        if (running.length >= limit) yield await next(running)
      }
      while (running.length > 0) yield await next(running)
    } finally {
      await Promise.allSettled(running)
    }
  }
}

/** Runs a pipeline whose results are not needed. */
export async function drain(source: AsyncIterable<unknown>): Promise<void> {
  const items = source[Symbol.asyncIterator]()
  while ((await items.next()).done !== true);
}

async function next<Output>(running: Promise<Output>[]): Promise<Output> {
  const [first] = running
  // It stays in the list while it is awaited, so that a consumer that leaves waits for it too.
  const result = await (first as Promise<Output>)
  void running.shift()
  return result
}

/** A rejection is seen when its turn comes; until then it is nobody's unhandled one. */
function observed<Output>(promise: Promise<Output>): Promise<Output> {
  promise.catch(() => {})
  return promise
}
