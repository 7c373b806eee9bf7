import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { loadNbdTls, type NbdTlsOptions } from '../../src/nbd/index.ts'
import { haggler } from '../nbd/raw-client.ts'
import { exportOf, testServer } from '../nbd/test-server.ts'
import { infoQueryBytes, optionBytes } from '../nbd/client-bytes.ts'
import { memoryDevice } from '../helpers/memory-device.ts'
import { temporaryDirectory } from '../helpers/process.ts'
import { parseNbdAddress } from '../../src/nbd/index.ts'
import { run, succeed } from './nbd-fixture.ts'

const execute = promisify(execFile)

/** The files of nbdkit's and libnbd's conventions: an authority, a server, and a client. */
async function makeCertificates(directory: string): Promise<string> {
  const path = join(directory, 'pki')
  await mkdir(path)
  const openssl = (...args: string[]) => execute('openssl', args, { cwd: path })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const ca = ['-keyout', 'ca-key.pem', '-out', 'ca-cert.pem', '-subj', '/CN=lab']
  await openssl('req', '-x509', ...key, ...ca)
  for (const name of ['server', 'client']) {
    const request = ['-keyout', `${name}-key.pem`, '-out', `${name}.csr`, '-subj', `/CN=${name}`]
    await openssl('req', ...key.slice(0, -2), ...request)
    await writeFile(
      join(path, 'ext'),
      'subjectAltName=DNS:localhost,IP:127.0.0.1\nkeyUsage=digitalSignature\n'
    )
    const signing = ['-CA', 'ca-cert.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2']
    const files = ['-in', `${name}.csr`, '-out', `${name}-cert.pem`, '-extfile', 'ext']
    await openssl('x509', '-req', ...signing, ...files)
  }
  return path
}

async function serveTls(t: ExecutionContext, options: NbdTlsOptions) {
  const device = memoryDevice(randomBytes(4 * 1024 * 1024))
  const tls = await loadNbdTls(options)
  // Another machine could reach it: that is what TLS allows.
  const address = parseNbdAddress('0.0.0.0:0')
  const server = await testServer(t, { tls, address, exports: exportOf(device) })
  return { device, server, port: server.address.split(':')[1] ?? '' }
}

test('certificates: nbdinfo, nbdcopy both ways and qemu-img, and none for who has no TLS', async t => {
  const directory = await temporaryDirectory(t)
  const certificates = await makeCertificates(directory)
  const { device, port } = await serveTls(t, { certificates })
  const uri = `nbds://localhost:${port}/?tls-certificates=${certificates}`
  const info = JSON.parse(await succeed(t, 'nbdinfo', '--json', uri)) as { TLS: boolean }
  t.true(info.TLS)
  const copy = join(directory, 'copy')
  await succeed(t, 'nbdcopy', '--connections=4', uri, copy)
  t.true(device.bytes.equals(await readFile(copy)))
  const content = randomBytes(device.size)
  await writeFile(copy, content)
  await succeed(t, 'nbdcopy', '--flush', copy, uri)
  t.true(content.equals(device.bytes))
  const qemu = [
    ...['--object', `tls-creds-x509,id=tls,endpoint=client,dir=${certificates}`, '--image-opts'],
    `driver=nbd,host=localhost,port=${port},tls-creds=tls`
  ]
  t.regex(await succeed(t, 'qemu-img', 'info', ...qemu), /virtual size: 4 MiB/)
  t.not((await run(t, 'nbdinfo', `nbd://localhost:${port}`)).code, 0)
})

test('certificates of clients: asked for, and others are turned away', async t => {
  const directory = await temporaryDirectory(t)
  const certificates = await makeCertificates(directory)
  const { port } = await serveTls(t, { certificates, verifyPeer: true })
  const uri = (pki: string): string => `nbds://localhost:${port}/?tls-certificates=${pki}`
  await succeed(t, 'nbdinfo', uri(certificates))
  const anonymous = join(directory, 'anonymous')
  await mkdir(anonymous)
  await writeFile(join(anonymous, 'ca-cert.pem'), await readFile(join(certificates, 'ca-cert.pem')))
  t.not((await run(t, 'nbdinfo', uri(anonymous))).code, 0)
  const elsewhere = await makeCertificates(anonymous)
  t.not((await run(t, 'nbdinfo', uri(elsewhere))).code, 0)
})

test('keys: nbdinfo, nbdcopy and qemu-img with one, nobody with a wrong one', async t => {
  const directory = await temporaryDirectory(t)
  const psk = join(directory, 'keys.psk')
  const key = randomBytes(32).toString('hex')
  await writeFile(psk, `# of the lab\nqemu:${key}\nmachine:${key}\n`)
  const { device, port } = await serveTls(t, { psk })
  const uri = (user: string, file = psk) => `nbds://${user}@localhost:${port}/?tls-psk-file=${file}`
  const info = JSON.parse(await succeed(t, 'nbdinfo', '--json', uri('machine'))) as object
  t.like(info, { TLS: true })
  const copy = join(directory, 'copy')
  await succeed(t, 'nbdcopy', uri('machine'), copy)
  t.true(device.bytes.equals(await readFile(copy)))
  const credentials = join(directory, 'credentials')
  await mkdir(credentials)
  await writeFile(join(credentials, 'keys.psk'), await readFile(psk))
  const qemu = [
    ...['--object', `tls-creds-psk,id=tls,endpoint=client,dir=${credentials},username=qemu`],
    ...['--image-opts', `driver=nbd,host=localhost,port=${port},tls-creds=tls`]
  ]
  t.regex(await succeed(t, 'qemu-img', 'info', ...qemu), /virtual size: 4 MiB/)
  const wrong = join(directory, 'wrong.psk')
  await writeFile(wrong, `machine:${randomBytes(32).toString('hex')}\nstranger:${key}\n`)
  t.not((await run(t, 'nbdinfo', uri('machine', wrong))).code, 0)
  t.not((await run(t, 'nbdinfo', uri('stranger', wrong))).code, 0)
})

test('before TLS there is nothing to learn, and plain bytes slipped in end it', async t => {
  const directory = await temporaryDirectory(t)
  const psk = join(directory, 'keys.psk')
  await writeFile(psk, 'machine:00ff\n')
  const { server } = await serveTls(t, { psk })
  const client = await haggler(t, server.address)
  for (const option of [3, 6, 8, 99]) {
    client.send(optionBytes(option, option === 6 ? infoQueryBytes('disk') : undefined))
    t.is((await client.optionReply()).reply, 0x80000005)
  }
  client.send(optionBytes(5), optionBytes(3))
  await client.closed()
  const plain = await haggler(t, server.address)
  plain.send(optionBytes(5))
  t.is((await plain.optionReply()).reply, 1)
  plain.send(optionBytes(3), Buffer.alloc(100))
  await plain.closed()
  t.pass()
})

test('files that are missing or of no use are named at the start', async t => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'keys.psk')
  await t.throwsAsync(loadNbdTls({ psk: path }), { code: 'ERR_FILE_MISSING', message: /keys\.psk/ })
  await writeFile(path, 'user:not hexadecimal\n')
  await t.throwsAsync(loadNbdTls({ psk: path }), { code: 'ERR_TLS_INVALID', message: /line 1/ })
  await writeFile(path, '\n')
  await t.throwsAsync(loadNbdTls({ psk: path }), { code: 'ERR_TLS_INVALID' })
  await t.throwsAsync(loadNbdTls({ certificates: directory }), {
    code: 'ERR_FILE_MISSING',
    message: /ca-cert\.pem/
  })
  for (const name of ['ca-cert.pem', 'server-cert.pem', 'server-key.pem']) {
    await writeFile(join(directory, name), 'no certificate')
  }
  await t.throwsAsync(loadNbdTls({ certificates: directory }), { code: 'ERR_TLS_INVALID' })
  await t.throwsAsync(loadNbdTls({ psk: path, certificates: directory }), { code: 'ERR_USAGE' })
  await t.throwsAsync(loadNbdTls({ verifyPeer: true }), { code: 'ERR_USAGE' })
})
