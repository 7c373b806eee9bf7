import test from 'ava'
import { noiseImage } from './images.ts'
import { Lab, patienceMs } from './lab.ts'

test('another --name on an enrolled disk is taken while a seed signs it, else it is said that the name stays', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 1)
  await lab.importImage(path, 'lab')
  const seed = await lab.startSeed()
  const ticket = await lab.ticket()
  const start = async (...extra: string[]) => {
    const agent = await lab.startAgent({ name: 'pc', ticket, extra })
    await agent.until('complete')
    return agent
  }
  const names = async (): Promise<string[]> => {
    const { machines } = (await lab.status()) as { machines: { name: string }[] }
    return machines.map(({ name }) => name)
  }
  const first = await start()
  t.deepEqual(await names(), ['pc'])
  await first.process.stop()

  const renamed = await start('--name', 'renamed')
  const deadline = Date.now() + patienceMs
  while ((await names())[0] === 'pc' && Date.now() < deadline);
  t.deepEqual(await names(), ['renamed'], 'the same machine')
  await renamed.process.stop()

  await seed.stop()
  const alone = await lab.startAgent({ name: 'pc', ticket })
  t.is((await alone.until('ready')).name, 'renamed')
  t.like(await alone.until('name-kept'), { name: 'renamed' })
  await alone.process.stop()
})
