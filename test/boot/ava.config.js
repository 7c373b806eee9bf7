// Booting a real kernel under software emulation takes a minute or more, and wants the machine for
// itself: one file at a time, one test at a time.
export default {
  files: ['test/boot/**/*.test.ts'],
  extensions: { ts: 'module' },
  timeout: '12m',
  concurrency: 1,
  serial: true
}
