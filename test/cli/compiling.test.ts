import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test from 'ava'

// In a process of its own, with V8's own word on how a function runs (its src/runtime/runtime.h: bit 4 is that it
// is optimised).

const script = `
import { compileLater } from '${new URL('../../src/cli/compiling.ts', import.meta.url).href}'
const sum = n => { let s = 0; for (let i = 0; i < n; i++) s = (s * 31 + i) | 0; return s }
const ways = []
const look = () => {
  for (let i = 0; i < 20000; i++) sum(100)
  const status = %GetOptimizationStatus(sum)
  ways.push((status >> 4 & 1) === 1)
}
const compile = compileLater(60000)
look()
compile()
for (let i = 0; i < 20; i++) { look(); await new Promise(resolve => setTimeout(resolve, 10)) }
console.log(JSON.stringify([ways[0], ways.at(-1)]))
`

test('nothing is compiled before it is asked for, and then it is', async t => {
  const args = ['--allow-natives-syntax', '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  t.deepEqual(JSON.parse(stdout), [false, true])
})
