import { setTimeout as sleep } from 'node:timers/promises'
import { NbdClient } from '../../src/nbd/index.ts'
import { insideNamespace } from './inside-namespace.ts'
import { seedAddress } from './network.ts'
import { loadScript, replay, replayFacts } from './replay.ts'
import { eachMeasured, Span, startOn, type Outcome, type Run } from './run.ts'

const port = 10_809
const triesMax = 100

/** One server with the whole image, and every machine boots from it over the network. */
export async function runNbdkit(run: Run): Promise<Outcome[]> {
  const listen = ['--ipaddr', seedAddress, '--port', String(port)]
  const serve = ['nbdkit', '--foreground', '--readonly', ...listen, 'file', run.subject.imagePath]
  const server = startOn(run, run.network.seed, serve)
  const script = await loadScript(run.subject.trace, run.subject.imagePath)
  const connect = (namespace: string): Promise<NbdClient> =>
    insideNamespace(namespace, () => NbdClient.connect({ kind: 'tcp', host: seedAddress, port }))
  await untilListening(run, () => connect(run.network.seed.namespace))

  const released = { processes: [], startAtMs: performance.now() + 500, loadSeconds: 0 }
  const span = await Span.start(run, released, server)
  const replays = await eachMeasured(run, async host => {
    const client = await connect(host.namespace)
    const replayed = await replay(client, script)
    await client.close()
    return replayed
  })
  const measured = await span.end(replays.map(({ endedAtMs }) => span.seconds(endedAtMs)))
  await server.stop()
  const facts = { replays: replays.map(replayed => replayFacts(replayed, span)) }
  return [{ ...measured, name: 'nbdkit', compared: true, facts }]
}

async function untilListening(run: Run, connect: () => Promise<NbdClient>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await (await connect()).close()
      return
    } catch (error) {
      if (attempt === triesMax) throw error
      await sleep(100, undefined, { signal: run.signal })
    }
  }
}
