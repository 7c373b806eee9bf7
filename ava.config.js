// The fast suite: one test file for each source file, conformance suites, property tests, interop
// with real NBD clients, and the whole product as separate processes. Booting a real kernel is slow
// and lives in test/boot, with a configuration of its own.
export default {
  files: ['test/**/*.test.ts', '!test/boot/**', '!test/helpers/**'],
  extensions: { ts: 'module' },
  timeout: '120s',
  concurrency: 2
}
