import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run as runCommand } from './commands.ts'
import { seedAddress } from './network.ts'
import { compareFiles, writePayload } from './payload.ts'
import { eachMeasured, releaseTogether, Span, startOn, type Outcome, type Run } from './run.ts'
import type { LabProcess } from './processes.ts'

/**
 * A plain file from nginx to curl on every machine: one as large as the stored bytes, and where there
 * is one machine also the whole image as one .zst, which is what a user would put there.
 */
export async function runHttp(run: Run): Promise<Outcome[]> {
  const { subject, folder, network } = run
  await writePayload(join(folder, 'stored'), subject.storedBytes)
  const outcomes = [await download(run, 'stored', 'http')]
  if (network.machines.length === 1) {
    const compress = ['-3', '--threads=0', '--quiet', subject.imagePath, '-o', join(folder, 'zst')]
    await runCommand('zstd', compress)
    outcomes.push(await download(run, 'zst', 'http .zst'))
  }
  return outcomes
}

async function download(run: Run, file: string, name: string): Promise<Outcome> {
  const { folder } = run
  const server = await startServer(run)
  const copyOf = (host: string): string => join(folder, `${host}.${file}`)
  const released = await releaseTogether(run, (host, startAtEpochMs) => {
    const seconds = Math.max(0, startAtEpochMs - Date.now()) / 1000
    const url = `http://${seedAddress}/${file}`
    const curl = ['curl', '--silent', '--show-error', '--fail', '--output', copyOf(host.name), url]
    return startOn(run, host, ['sh', '-c', `sleep ${seconds}; exec "$@"`, 'sh', ...curl])
  })
  const span = await Span.start(run, released, server)
  const ends = await eachMeasured(run, async (_host, index) => {
    const client = released.processes[index] as LabProcess
    await client.exited
    return span.seconds(performance.now())
  })
  const measured = await span.end(ends)
  await server.stop()
  await compareFiles(
    join(folder, file),
    run.measured.map(host => copyOf(host.name))
  )
  const { size } = await stat(join(folder, file))
  return { ...measured, name, compared: true, facts: { size } }
}

async function startServer(run: Run): Promise<LabProcess> {
  const { folder } = run
  const scratch = join(folder, 'nginx')
  await mkdir(scratch, { recursive: true })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  await writeFile(
    join(scratch, 'nginx.conf'),
    [
      'daemon off;',
      'user root;',
      // One process, so that its processor time is that of the server.
      'master_process off;',
      `pid ${scratch}/pid;`,
      'error_log stderr;',
      'events {}',
      'http {',
      '  access_log off;',
      '  sendfile on;',
      ...temporary.map(kind => `  ${kind}_temp_path ${scratch}/${kind};`),
      `  server { listen ${seedAddress}:80; root ${folder}; }`,
      '}'
    ].join('\n')
  )
  return startOn(run, run.network.seed, ['nginx', '-c', join(scratch, 'nginx.conf')])
}
