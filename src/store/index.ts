export type { ImageRecord, Resolved, SignedRelease } from './catalogue.ts'
export { createStore, openOrCreateStore, openStore } from './store-directory.ts'
export { Store } from './store.ts'
export type { StoreOptions } from './store.ts'
