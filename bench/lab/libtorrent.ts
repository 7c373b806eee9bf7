import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run as runCommand } from './commands.ts'
import { seedAddress, type Host } from './network.ts'
import { compareFiles, writePayload } from './payload.ts'
import type { LabProcess } from './processes.ts'
import { eachMeasured, releaseTogether, Span, startOn, type Outcome, type Run } from './run.ts'

const script = fileURLToPath(new URL('./torrent.py', import.meta.url))
/** Debian's own, which knows Debian's libtorrent, whatever other Python comes first on the path. */
export const python = '/usr/bin/python3'
/** What it takes at the very least to load libtorrent. */
const loadedSecondsMin = 0.02

/** A torrent of a file as large as the stored bytes; every peer is told of every other at the start. */
export async function runLibtorrent(run: Run): Promise<Outcome[]> {
  const { network, folder, subject } = run
  const torrent = join(folder, 'stored.torrent')
  await writePayload(join(folder, 'stored'), subject.storedBytes)
  await runCommand(python, [script, 'make', join(folder, 'stored'), torrent])
  const seed = startOn(run, network.seed, [python, script, 'seed', torrent, folder, seedAddress])
  await seed.until('ready', run.signal)
  const addresses = [seedAddress, ...network.machines.map(host => host.address)]
  const start = (host: Host, startAtEpochMs: number): LabProcess => {
    const place = [torrent, join(folder, host.name), host.address]
    const peer = [python, script, 'peer', ...place, String(startAtEpochMs), ...addresses]
    return startOn(run, host, peer)
  }
  const released = await releaseTogether(run, start, loadedSecondsMin)
  const span = await Span.start(run, released, seed)
  const ends = await eachMeasured(run, async (_host, index) => {
    const peer = released.processes[index] as LabProcess
    return span.seconds((await peer.until('present', run.signal)).atMs)
  })
  const measured = await span.end(ends)
  await Promise.all([...released.processes, seed].map(process => process.stop()))
  const copies = run.measured.map(host => join(folder, host.name, 'stored'))
  await compareFiles(join(folder, 'stored'), copies)
  return [{ ...measured, name: 'libtorrent', compared: true, facts: {} }]
}
