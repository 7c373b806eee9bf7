import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from './processes.ts'

const builder = fileURLToPath(new URL('../../images/debian-12/build.sh', import.meta.url))

export interface BuiltImage {
  disk: string
  kernel: string
  initrd: string
}

/** Builds the Debian 12 image in a directory; only a machine's first build needs the network. */
export async function buildDebianImage(directory: string): Promise<BuiltImage> {
  const disk = join(directory, 'debian-12.img')
  await run(builder, [disk, '--kernel-dir', directory])
  return { disk, kernel: join(directory, 'vmlinuz'), initrd: join(directory, 'initrd.img') }
}
