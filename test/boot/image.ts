import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from './processes.ts'

export type Recipe = 'debian-12' | 'debian-12-dracut' | 'debian-12-gpt' | 'debian-12-lvm'

export interface BuiltImage {
  disk: string
  kernel: string
  initrd: string
}

/** Builds a recipe's image in a directory; only a machine's first build needs the network. */
export async function buildImage(recipe: Recipe, directory: string): Promise<BuiltImage> {
  const builder = fileURLToPath(new URL(`../../images/${recipe}/build.sh`, import.meta.url))
  const disk = join(directory, `${recipe}.img`)
  await run(builder, [disk, '--kernel-dir', directory])
  return { disk, kernel: join(directory, 'vmlinuz'), initrd: join(directory, 'initrd.img') }
}

export async function buildDebianImage(directory: string): Promise<BuiltImage> {
  return buildImage('debian-12', directory)
}
