// Booting a real kernel under software emulation takes a minute or more, and wants the machine for
// itself: one file at a time, one test at a time.
const onlyInAll = [
  'own-disk',
  'shut-down',
  'two-machines',
  'small-machine',
  'whole-disk',
  'discarded-writes',
  'dracut',
  'network-managers'
].map(name => `test/boot/${name}.test.ts`)
const leftOut = process.env.BOOTSWARM_BOOT === 'all' ? [] : onlyInAll

export default {
  files: ['test/boot/**/*.test.ts', ...leftOut.map(file => `!${file}`)],
  extensions: { ts: 'module' },
  timeout: '12m',
  concurrency: 1,
  serial: true
}
