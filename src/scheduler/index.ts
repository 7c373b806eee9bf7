export { Fetching, tickMs, type FetchAction, type FetchEvent } from './fetching.ts'
export { Serving } from './serving.ts'
