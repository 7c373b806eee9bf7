import test from 'ava'
import { scanNews } from '../../src/agent/scan-news.ts'
import type { AgentEvent } from '../../src/observe/index.ts'

test('of many steps a few are said, and the last one always', t => {
  const said: AgentEvent[] = []
  const say = scanNews(event => said.push(event))
  const size = 10_000
  for (let bytesDone = 1; bytesDone <= size; bytesDone += 1) say({ bytesDone, size })
  t.true(said.length < 100)
  t.like(said.at(-1), { event: 'scanning', bytesDone: size, size })
})
