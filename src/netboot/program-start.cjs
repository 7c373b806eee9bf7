// @ts-check
// In an agent archive it starts the program that lies beside it under its own name: NAME.code, with what V8 had made
// of it in NAME.cache. V8 looks whether that is its own work of the same code, and else does it again. Node's own
// compile cache is not used: it is of no use to a processor that can do more or less than the one that made it.
const fs = require('node:fs')
const path = require('node:path')
const vm = require('node:vm')

const name = __filename.replace(/\.cjs$/, '')
const codeFile = `${name}.code`
const cacheFile = `${name}.cache`

/** A module of Node, or the library that lies here. @param {string} wanted */
function load(wanted) {
  return process.getBuiltinModule(wanted) ?? require(wanted)
}

const cachedData = fs.existsSync(cacheFile) ? fs.readFileSync(cacheFile) : undefined
// The code is ASCII. V8 keeps the name in its work, which is to be the same wherever it is done; as a piece of the path
// it would keep the path.
const filename = Buffer.from(path.basename(codeFile)).toString()
const options = { filename, cachedData }
const script = new vm.Script(fs.readFileSync(codeFile, 'latin1'), options)
// Where the archive is made (src/netboot/code-cache.ts), and by a test that asks whether it is used.
const { BOOTSWARM_CODE_CACHE: wanted } = process.env
if (wanted === 'show') process.stderr.write(`code cache rejected: ${script.cachedDataRejected}\n`)
else if (wanted !== undefined) {
  process.on('exit', () => fs.writeFileSync(wanted, script.createCachedData()))
}
script.runInThisContext()(
  load,
  module,
  module.exports,
  require('node:url').pathToFileURL(__filename).href
)
