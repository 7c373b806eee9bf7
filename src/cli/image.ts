import type { Command } from 'commander'
import { register as registerDiff } from './image-diff.ts'
import { register as registerExport } from './image-export.ts'
import { register as registerGc } from './image-gc.ts'
import { register as registerImport } from './image-import.ts'
import { register as registerList } from './image-list.ts'
import { register as registerRemove } from './image-remove.ts'
import { register as registerShow } from './image-show.ts'
import { register as registerVerify } from './image-verify.ts'

export function register(program: Command): void {
  const image = program.command('image').description('Import, look at and check images')
  registerImport(image)
  registerList(image)
  registerShow(image)
  registerVerify(image)
  registerExport(image)
  registerDiff(image)
  registerRemove(image)
  registerGc(image)
}
