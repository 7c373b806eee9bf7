import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { askSeed } from '../../src/control/index.ts'
import { NbdClient } from '../../src/nbd/index.ts'
import { run as runCommand } from './commands.ts'
import { compareDisks } from './disks.ts'
import { seedAddress, type Host } from './network.ts'
import type { EventLine, LabProcess } from './processes.ts'
import { teach } from './learning.ts'
import { nameWith } from './options.ts'
import { readProbe, summarizeProbe } from './probe-log.ts'
import { loadScript, replay, replayFacts, type Replayed } from './replay.ts'
import {
  diskOf,
  eachMeasured,
  releaseTogether,
  Span,
  startOn,
  type Outcome,
  type Run
} from './run.ts'
import { surviveSeed } from './seed-death.ts'
import { rounded, sum } from './statistics.ts'
import { launcher } from './subject.ts'

const probe = fileURLToPath(new URL('./probe.ts', import.meta.url))

/** What it takes at the very least to load an agent's code. */
const loadedSecondsMin = 0.1

/** A seed and an agent a machine, as a user would start them. */
export async function runBootswarm(run: Run): Promise<Outcome[]> {
  await learnOnce(run)
  // The probe adds to its file, and a seed that returns goes on where the first ended.
  const probed = [run.network.seed, ...run.network.machines].map(host => probeFileOf(run, host))
  await Promise.all(probed.map(path => rm(path, { force: true })))
  const seed = startSeed(run)
  await seed.until('ready', run.signal)
  const ticket = await makeTicket(run)
  const released = await releaseTogether(
    run,
    (host, startAtMs) => startAgent(run, host, ticket, startAtMs),
    loadedSecondsMin
  )
  const agents = released.processes
  const script = await loadScript(run.subject.trace, run.subject.imagePath)
  const span = await Span.start(run, released, seed)

  const replays: Replayed[] = []
  const ends = await eachMeasured(run, async (host, index) => {
    const agent = agents[index] as LabProcess
    if (run.workload === 'copy') {
      if (run.options.killSeedAt !== undefined) return 0
      return (await agent.until('present', run.signal)).atMs
    }
    await agent.until('ready', run.signal)
    const client = await NbdClient.connect({ kind: 'unix', path: socketOf(run, host) })
    const replayed = await replay(client, script)
    replays.push(replayed)
    await client.close()
    return replayed.endedAtMs
  })
  const survived =
    run.workload === 'copy' && run.options.killSeedAt !== undefined
      ? await surviveSeed(run, agents, seed, span.startAtMs, () => startSeed(run))
      : undefined
  const endMs = survived?.endMs ?? Math.max(...ends)
  const measured = await span.end(survived?.machineSeconds ?? ends.map(end => span.seconds(end)))
  const atEnd = await factsAtEnd(run, endMs)

  const isCompared = run.workload === 'copy' || run.options.compare
  const completions = isCompared ? await compareAll(run, agents) : []
  await Promise.all(agents.map(agent => agent.stop()))
  await seed.stop()
  return [
    {
      ...measured,
      name: nameWith(run.profile),
      compared: isCompared,
      facts: {
        ...atEnd,
        seedDeath: survived?.seedDeath,
        completeSeconds: completions.map(({ atMs }) => rounded(span.seconds(atMs), 2)),
        bytesFromSeed: sum(completions.map(event => Number(event.bytesFromSeed))),
        bytesFromPeers: sum(completions.map(event => Number(event.bytesFromPeers))),
        starved: sum(agents.map(agent => countOf(agent, 'starved'))),
        replays: replays.map(replayed => replayFacts(replayed, span)),
        thinkSeconds: rounded(script.thinkMs / 1000, 2),
        agentProbes: await agentProbes(run, endMs)
      }
    }
  ]
}

/** A profile's store is a copy of a new one: what its seed knows of boots is what it is taught here. */
const taught = new Set<string>()

async function learnOnce(run: Run): Promise<void> {
  const { profile, subject, network } = run
  const [host] = network.machines
  if (profile === undefined || host === undefined || taught.has(subject.storePath)) return
  taught.add(subject.storePath)
  const seed = startSeed(run)
  await seed.until('ready', run.signal)
  const agent = startAgent(run, host, await makeTicket(run), Date.now(), '2')
  await teach(run, profile, { agent, socket: socketOf(run, host), disk: diskOf(run, host) })
  // What it sent in the lesson is not counted.
  await seed.stop()
}

function startSeed(run: Run): LabProcess {
  const listen = ['--listen', `/ip4/${seedAddress}/tcp/4910`, '--http', '127.0.0.1:4911']
  const command = [launcher, 'seed', '--store', run.subject.storePath, ...listen, '--json']
  return startOn(
    run,
    run.network.seed,
    [...command, ...tuningOf(run), ...locationOf(run.network.seed), ...run.options.seedArgs],
    {
      env: probeInto(run, run.network.seed)
    }
  )
}

/** Measured machines teach the seed nothing, so that each run knows as much as the one before it. */
function startAgent(
  run: Run,
  host: Host,
  ticket: string,
  startAtMs: number,
  profileAfter = 'never'
): LabProcess {
  const { subject, options } = run
  const where = ['--disk', diskOf(run, host), '--nbd', `unix:${socketOf(run, host)}`]
  const who = ['--ticket', ticket, '--image', subject.name, '--name', host.name]
  const when = ['--start-at', String(startAtMs), '--listen', '/ip4/0.0.0.0/tcp/0', '--json']
  const whatFor = ['--profile-after', profileAfter]
  const how = [...whatFor, ...tuningOf(run), ...locationOf(host), ...options.agentArgs]
  return startOn(run, host, [launcher, 'agent', ...who, ...where, ...when, ...how], {
    env: options.probeAgents ? probeInto(run, host) : {}
  })
}

function locationOf({ location }: Host): string[] {
  return location === undefined ? [] : ['--location', location]
}

function tuningOf({ options: { without, fallbackMs } }: Run): string[] {
  return [
    ...(without === undefined ? [] : ['--without', without]),
    ...(fallbackMs === undefined ? [] : ['--fallback-ms', fallbackMs])
  ]
}

function probeInto(run: Run, host: Host): Record<string, string> {
  const others = process.env.NODE_OPTIONS ?? ''
  return {
    BOOTSWARM_PROBE: probeFileOf(run, host),
    NODE_OPTIONS: `${others} --import=${probe}`.trim()
  }
}

async function makeTicket({ subject }: Run): Promise<string> {
  return (await runCommand(launcher, ['ticket', '--store', subject.storePath])).trim()
}

async function factsAtEnd(run: Run, endMs: number): Promise<Record<string, unknown>> {
  const { subject, network } = run
  const status = await askSeed(subject.storePath).catch(() => undefined)
  const lines = await readProbe(probeFileOf(run, network.seed))
  return {
    uplinkBytes: await network.uplinkBytes(),
    seedPayloadBytes: status?.seed.bytesSent,
    seedProbe: summarizeProbe(lines, performance.timeOrigin + endMs, subject.bootSet)
  }
}

async function agentProbes(run: Run, endMs: number): Promise<unknown[]> {
  if (!run.options.probeAgents) return []
  return Promise.all(
    run.network.machines.map(async host => {
      const lines = await readProbe(probeFileOf(run, host))
      return summarizeProbe(lines, performance.timeOrigin + endMs, run.subject.bootSet)
    })
  )
}

/** Waits until the disks are complete by the agents' own word, then judges every byte of them. */
async function compareAll(run: Run, agents: readonly LabProcess[]): Promise<EventLine[]> {
  run.note('waiting for complete disks, to compare them')
  const completions = await eachMeasured(run, async (_host, index) =>
    (agents[index] as LabProcess).until('complete', run.signal)
  )
  const disks = run.measured.map(host => diskOf(run, host))
  const wrong = (await compareDisks(run.subject.imagePath, disks)).filter(why => why !== undefined)
  if (wrong.length > 0) throw new Error(`the disks are not the image: ${wrong.join('; ')}`)
  return completions
}

function countOf(agent: LabProcess, name: string): number {
  return agent.events.filter(({ event }) => event === name).length
}

function socketOf(run: Run, host: Host): string {
  return join(run.folder, `${host.name}.sock`)
}

function probeFileOf(run: Run, host: Host): string {
  const { contender, workload, network, options } = run
  const name = `${contender}-${workload}-${network.machines.length}-${host.name}.probe`
  return join(options.logs ?? run.folder, name)
}
