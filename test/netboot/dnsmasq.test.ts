import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { dnsmasqSnippets } from '../../src/netboot/dnsmasq.ts'
import { runProgram, temporaryDirectory } from '../helpers/process.ts'

const dnsmasq = '/usr/sbin/dnsmasq'

test('dnsmasq takes both of the configurations', async t => {
  const folder = await temporaryDirectory(t)
  await mkdir(join(folder, 'tftp'))
  const text = dnsmasqSnippets('http://192.0.2.1:4912').replaceAll(
    '/srv/tftp',
    join(folder, 'tftp')
  )
  const [proxy = '', server = ''] = text.split('\n\n')
  const configurations = [proxy, server.replaceAll(/^#(?=[a-z])/gm, '')]
  for (const [at, lines] of configurations.entries()) {
    t.regex(lines, /^dhcp-range=/m)
    const path = join(folder, `${at}.conf`)
    await writeFile(path, lines)
    const { code, stderr } = await runProgram(t, dnsmasq, ['--test', '-C', path])
    t.is(code, 0, `${stderr}\n${lines}`)
  }
})

test('machines are sent to the server that was named', t => {
  const text = dnsmasqSnippets('http://192.0.2.1:4912')
  t.regex(text, /^dhcp-range=192\.0\.2\.0,proxy$/m)
  t.regex(text, /http:\/\/192\.0\.2\.1:4912\/boot\.ipxe$/m)
})
