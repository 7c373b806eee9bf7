import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { waitForEvent } from '../bootswarm.ts'
import { run, sameAddresses, type RunningProcess } from '../processes.ts'
import type { Lab } from './lab.ts'
import { LabNetwork } from './network.ts'

const program = fileURLToPath(new URL('../../../bin/bootswarm', import.meta.url))
const port = 4912

/**
 * From now on the lab's machines boot what `bootswarm netboot` serves: each by a script and a ticket of
 * its own, the agent archive from the machines that are up.
 */
export async function serveNetboot(lab: Lab): Promise<RunningProcess> {
  const folder = join(lab.directory, 'netboot')
  const { kernel, initrd } = lab.image
  const given = ['--kernel', kernel, '--initrd', initrd, '--archive', lab.archive]
  await run(program, ['netboot', 'build', ...given, '--out', folder, '--json'])
  const what = [
    '--store',
    lab.store,
    '--dir',
    folder,
    '--image',
    lab.imageName,
    '--disk',
    '/dev/vda'
  ]
  const where = ['--http', `${LabNetwork.address}:${port}`]
  const append = ['--append', `console=ttyS0 bootswarm.console=root ${sameAddresses}`]
  const args = ['netboot', 'serve', ...what, ...where, ...append, '--json']
  const server = lab.network.start('netboot', program, args)
  await waitForEvent(server, 'ready', 120_000)
  await lab.network.serveScript(`#!ipxe\nchain http://${LabNetwork.address}:${port}/boot.ipxe\n`)
  return server
}
