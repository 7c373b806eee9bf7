import test from 'ava'
import { MemoryStore } from '../helpers/memory-store.ts'
import { chunkStoreSuite } from './chunk-store.ts'

chunkStoreSuite(test, async () => new MemoryStore())
