// Brings a checkout to where a purpose can run: npm packages (with the pinned Node 24 runtime) and
// the system programs that the purpose needs. Runs on the host's own Node and needs no package.
//
//   node scripts/setup.mjs [--for runtime|demo|test|boot]
//
// The work is in setup/; this file only turns away a Node too old to load it.
const major = Number(process.versions.node.split('.')[0])

if (major < 20) {
  console.error(
    'setup: Node ' +
      process.versions.node +
      ' is too old to run npm and this script; install Node 20 or newer (bootswarm itself runs on ' +
      'a Node 24 that comes with its packages)'
  )
  process.exitCode = 1
} else {
  import('./setup/main.mjs').then(main => main.run(process.argv.slice(2)))
}
