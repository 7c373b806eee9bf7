import { Option } from 'commander'
import { BootswarmError } from '../base/index.ts'

/** `--store`; ERR_USAGE for no name at all, as of a variable that is not set. */
export function storeOption(meaning: string): Option {
  return new Option('--store <dir>', meaning).default('./.bootswarm').argParser(checkedStore)
}

function checkedStore(text: string): string {
  if (text !== '') return text
  throw new BootswarmError('ERR_USAGE', '--store is empty; name the folder of a store')
}
