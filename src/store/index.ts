export type { ImageRecord, Resolved, SignedRelease } from './catalogue.ts'
export { createStore, openOrCreateStore, openStore } from './store-directory.ts'
export { Store } from './store.ts'
export type { Collected, GarbageOptions, StoreOptions } from './store.ts'
