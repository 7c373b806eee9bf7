import { statSync } from 'node:fs'
import { connect } from 'node:net'
import { parseArgs } from 'node:util'
import { mapperUuidPrefix, TargetDisk } from '../src/disk/index.ts'
import { DeviceMapper } from './device-mapper.ts'

// Takes the agent out of a running machine's root: the device-mapper device under it goes over NBD to
// the agent, and afterwards straight to the disk (docs/hand-over.md has the steps, and what a crash
// after each leaves). It may be run again at any time, and goes on where the last one was stopped.
//
// It is one process that loads all it needs before it begins: while the root is suspended nothing can
// be read from it, so this and its Node have to lie in memory. Meanwhile nothing is printed either.

const usage =
  'usage: hand-over --control unix:PATH --disk DEVICE --name MAPPER-NAME [--metadata PATH]'
const requestMs = 60_000
const sectorBytes = 512

type Step = 'prepare' | 'load' | 'suspend' | 'seal' | 'resume' | 'release'

const { values } = parseArgs({
  options: {
    control: { type: 'string' },
    disk: { type: 'string' },
    metadata: { type: 'string' },
    name: { type: 'string' },
    // For the test: leaves everything as a crash after that step does.
    'stop-after': { type: 'string' }
  }
})

function fail(message: string): never {
  process.stderr.write(`hand-over: ${message}\n`)
  process.exit(1)
}

function done(step: Step): void {
  if (values['stop-after'] === step) process.kill(process.pid, 'SIGKILL')
}

/** One word to the agent. Rejects if it says no, or is not there. */
async function ask(path: string, word: Step): Promise<void> {
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(path)
    let text = ''
    socket.setEncoding('utf8').setTimeout(requestMs)
    socket.on('connect', () => socket.write(`${word}\n`))
    socket.on('data', (piece: string) => {
      text += piece
      if (!text.endsWith('\n')) return
      resolve(text)
      socket.destroy()
    })
    socket.on('error', reject)
    socket.on('timeout', () => socket.destroy(new Error(`no answer in ${requestMs / 1000} s`)))
    socket.on('close', () => reject(new Error('the agent has gone away')))
  })
  const { ok, message } = JSON.parse(answer) as { ok: boolean; message?: string }
  if (!ok) throw new Error(message)
}

async function isMarked(disk: string, metadata: string | undefined): Promise<boolean> {
  return (await TargetDisk.peek(disk, metadata))?.handedOver === true
}

async function handOver(control: string, disk: string, name: string): Promise<void> {
  const pinned = await TargetDisk.peek(disk, values.metadata)
  if (pinned === undefined) throw new Error(`${disk} is no disk of bootswarm`)
  const mapper = new DeviceMapper(name)
  const raw = {
    kind: 'linear',
    sectors: pinned.image.size / sectorBytes,
    parameters: `${numberOf(disk)} 0`
  }
  requireOurs(mapper, name, raw.sectors)
  if (mapper.table()[0]?.parameters === raw.parameters) {
    if (mapper.status().isSuspended) mapper.resume()
  } else {
    if (!pinned.handedOver) await ask(control, 'prepare')
    done('prepare')
    mapper.load(raw)
    done('load')
    mapper.suspend()
    done('suspend')
    await sealOrGoBack(mapper, control, disk)
    done('seal')
    mapper.resume()
  }
  done('resume')
  // Whether the agent is still there makes no difference to the machine any more.
  const gone = await ask(control, 'release').catch((error: unknown) => String(error))
  done('release')
  mapper.close()
  process.stdout.write(`hand-over: ${name} uses ${disk} itself\n`)
  if (gone !== undefined) process.stderr.write(`hand-over: the agent did not hear it: ${gone}\n`)
}

/** The mark on the disk decides, since an answer can be lost: with it the way leads only forward. */
async function sealOrGoBack(mapper: DeviceMapper, control: string, disk: string): Promise<void> {
  if (await isMarked(disk, values.metadata)) return
  const error = await ask(control, 'seal').catch((reason: unknown) => reason)
  if (await isMarked(disk, values.metadata)) return
  mapper.clear()
  mapper.resume()
  throw new Error(`the disk was not handed over, the machine goes on over NBD: ${String(error)}`)
}

function requireOurs(mapper: DeviceMapper, name: string, sectors: number): void {
  const { uuid } = mapper.status()
  if (!uuid.startsWith(mapperUuidPrefix)) {
    throw new Error(
      `${name} is not ours: its uuid '${uuid}' does not begin with ${mapperUuidPrefix}`
    )
  }
  const [target, ...others] = mapper.table()
  if (target?.kind === 'linear' && target.sectors === sectors && others.length === 0) return
  throw new Error(`${name} is not one linear target of ${sectors} sectors, as large as the image`)
}

function numberOf(disk: string): string {
  const { rdev } = statSync(disk, { bigint: true })
  const major = (rdev >> 8n) & 0xfffn
  return `${major}:${(rdev & 0xffn) | ((rdev >> 12n) & 0xfff00n)}`
}

const { control, disk, name } = values
if (control?.startsWith('unix:') !== true || disk === undefined || name === undefined) fail(usage)
void handOver(control.slice('unix:'.length), disk, name).catch((error: unknown) =>
  fail(error instanceof Error ? error.message : String(error))
)
