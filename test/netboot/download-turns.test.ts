import test from 'ava'
import { DownloadTurns } from '../../src/netboot/download-turns.ts'

test('so many at a time, the others in order, and no more than may wait', async t => {
  const turns = new DownloadTurns(2, 2)
  const order: string[] = []
  const enter = async (name: string) => {
    const leave = await turns.enter()
    order.push(leave === undefined ? `${name} not` : name)
    return leave
  }
  const a = await enter('a')
  await enter('b')
  const c = enter('c')
  const d = enter('d')
  t.is(await enter('e'), undefined)
  t.deepEqual(order, ['a', 'b', 'e not'])
  a?.()
  const leaveC = await c
  t.deepEqual(order, ['a', 'b', 'e not', 'c'])
  leaveC?.()
  await d
  t.deepEqual(order, ['a', 'b', 'e not', 'c', 'd'])
})

test('a place that nobody waits for is free again', async t => {
  const turns = new DownloadTurns(1, 0)
  for (let time = 0; time < 3; time += 1) {
    const leave = await turns.enter()
    t.truthy(leave)
    t.is(await turns.enter(), undefined)
    leave?.()
  }
})
