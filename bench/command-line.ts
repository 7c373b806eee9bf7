import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'

/**
 * A bench's options, each with its default; --help prints them and what the bench measures. What is
 * wrong is said in a line, with exit code 2.
 */
export function commandLine<Options extends ParseArgsOptionsConfig>(
  about: string,
  options: Options
): ReturnType<typeof parseArgs<{ options: Options }>>['values'] {
  const names = Object.entries(options).map(([name, { type, default: value }]) => {
    const initial = value === undefined || value === false ? '' : ` (default ${String(value)})`
    return `  --${name}${type === 'string' ? ' VALUE' : ''}${initial}\n`
  })
  if (process.argv.slice(2).includes('--help')) {
    process.stdout.write(`${about}\n${names.join('')}`)
    process.exit(0)
  }
  try {
    return parseArgs({ options }).values
  } catch (error) {
    process.stderr.write(`${(error as Error).message}; --help lists the options\n`)
    process.exit(2)
  }
}
