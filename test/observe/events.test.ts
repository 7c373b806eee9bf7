import test from 'ava'
import { eventCatalogue } from '../../src/observe/index.ts'
import type { AgentEvent, EventFields } from '../../src/observe/index.ts'

test('what the design promises to scripts is in the catalogue', t => {
  const { seed, agent } = eventCatalogue
  const fields = (event: { fields: object }): string[] => Object.keys(event.fields)
  t.true(['addresses', 'http'].every(field => fields(seed.ready).includes(field)))
  t.true(['nbd', 'size', 'image'].every(field => fields(agent.ready).includes(field)))
  const promised = ['seconds', 'bytesFromSeed', 'bytesFromPeers', 'bytesLocal', 'verified']
  t.true(promised.every(field => fields(agent.present).includes(field)))
  t.true(promised.every(field => fields(agent.complete).includes(field)))
  t.true('starved' in agent)
})

test('the types follow the catalogue', t => {
  const fed: EventFields<'agent', 'fed'> = { seconds: 3.5, waited: 1.25 }
  // @ts-expect-error: a field is missing.
  const short: AgentEvent = { event: 'starved', seconds: 2 }
  // @ts-expect-error: an agent has no such event.
  const unknown: AgentEvent = { event: 'imported', image: 'bafy', name: 'debian:12' }
  // @ts-expect-error: a number is asked for.
  const wrong: AgentEvent = { event: 'fed', ...fed, seconds: '3.5' }
  const noHttp: EventFields<'seed', 'ready'> = { addresses: [] }
  t.deepEqual([short.event, unknown.event, wrong.event], ['starved', 'imported', 'fed'])
  t.deepEqual(noHttp.addresses, [])
})
