import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { decodeTicket } from '../../src/swarm/index.ts'
import {
  launcherPath,
  runBootswarm,
  startProgram,
  type RunningProcess
} from '../helpers/process.ts'
import { MiB, noiseImage } from './images.ts'
import { Lab, patienceMs } from './lab.ts'

// Machines that are told no address, on a network of their own: two namespaces and a cable between them.

interface Cable {
  readonly seeds: string
  readonly machines: string
}

const seedAddress = '10.99.0.1'

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' })
}

function layCable(t: ExecutionContext): Cable {
  const seeds = `bootswarm-test-${process.pid}-seeds`
  const machines = `bootswarm-test-${process.pid}-machines`
  for (const name of [seeds, machines]) {
    ip('netns', 'add', name)
    t.teardown(() => ip('netns', 'del', name))
    ip('-n', name, 'link', 'set', 'lo', 'up')
  }
  const peer = ['peer', 'name', 'eth0', 'netns', machines]
  ip('-n', seeds, 'link', 'add', 'eth0', 'type', 'veth', ...peer)
  for (const [name, address] of [
    [seeds, seedAddress],
    [machines, '10.99.0.2']
  ] as const) {
    ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0')
    ip('-n', name, 'link', 'set', 'eth0', 'up')
    // Multicast goes where the kernel has a route for it; on most machines that is the default one.
    ip('-n', name, 'route', 'add', 'default', 'dev', 'eth0')
  }
  return { seeds, machines }
}

function startIn(t: ExecutionContext, namespace: string, ...args: string[]): RunningProcess {
  return startProgram(t, 'ip', ['netns', 'exec', namespace, launcherPath, ...args, '--json'])
}

async function startLab(t: ExecutionContext, namespace: string, port: number) {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 4)
  await lab.importImage(path, 'lab')
  const start = async (at: number): Promise<RunningProcess> => {
    const listen = ['--listen', `/ip4/${seedAddress}/tcp/${at}`, '--http', '127.0.0.1:0']
    const seed = startIn(t, namespace, 'seed', '--store', lab.store, ...listen)
    await seed.waitForEvent('ready', { timeoutMs: patienceMs })
    return seed
  }
  return { lab, bytes, seed: await start(port), start }
}

async function ticketOf(t: ExecutionContext, lab: Lab, ...extra: string[]): Promise<string> {
  const { code, stdout, stderr } = await runBootswarm(t, ['ticket', '--store', lab.store, ...extra])
  t.is(code, 0, stderr)
  return stdout.trim()
}

function startAgent(t: ExecutionContext, cable: Cable, lab: Lab, name: string, ticket: string) {
  return startIn(
    t,
    cable.machines,
    ...['agent', '--ticket', ticket, '--image', 'lab', '--name', name, '--location', 'room/rack'],
    ...['--disk', lab.path(`${name}.disk`), '--nbd', `unix:${join(lab.path(`${name}.sock`))}`]
  )
}

test('a ticket without an address: each machine finds the seed of its own lab, also where it has moved', async t => {
  t.timeout(4 * patienceMs)
  const cable = layCable(t)
  // Two labs on one network.
  const labs = [await startLab(t, cable.seeds, 4920), await startLab(t, cable.seeds, 4921)]
  const [first] = labs
  if (first === undefined) return t.fail()
  for (const { lab } of labs) {
    const ticket = await ticketOf(t, lab, '--no-address')
    t.deepEqual(decodeTicket(ticket).seeds, [])
    const agent = startAgent(t, cable, lab, 'a', ticket)
    const complete = await agent.waitForEvent('complete', { timeoutMs: patienceMs })
    t.true(Number(complete['bytesFromSeed']) > 4 * MiB * 0.9)
    await agent.stop()
  }
  const ticket = await ticketOf(t, first.lab)
  t.true(decodeTicket(ticket).seeds.length > 0)
  await first.seed.stop()
  await first.start(4922)
  const agent = startAgent(t, cable, first.lab, 'b', ticket)
  await agent.waitForEvent('complete', { timeoutMs: patienceMs })
})
