import test from 'ava'
import { Brothers } from '../../src/seed/brothers.ts'
import { FakeLink } from '../swarm/fake-link.ts'

const imageId = 'ab'.repeat(32)

test('what any machine sees counts, each change is said once, and what its links took along is forgotten', t => {
  const said: string[][] = []
  const brothers = new Brothers((_image, seeds) => said.push([...seeds]))
  const [a, b] = [new FakeLink('a').link, new FakeLink('b').link]
  brothers.told(a, imageId, ['s1'])
  brothers.told(b, imageId, ['s1'])
  t.deepEqual(said, [['s1']])
  brothers.told(b, imageId, ['s2', 's1'])
  t.deepEqual(said.at(-1), ['s1', 's2'])
  brothers.gone(b)
  t.deepEqual(said.at(-1), ['s1'])
  brothers.gone(b)
  brothers.gone(a)
  t.deepEqual(said.at(-1), [])
  t.is(said.length, 4)
})
