import test from 'ava'
import { Machinery } from '../../src/netboot/machine-settings.ts'
import { throwsWith } from '../helpers/errors.ts'

const mac = '52:54:00:12:34:56'
const uuid = '0f3c3a7e-1111-4222-8333-444455556666'

test('what is said of one machine counts more than what is said of all', t => {
  const machinery = new Machinery({ image: 'lab', disk: '/dev/sda', writes: undefined })
  machinery.addOption(`52-54-00-12-34-56,image=lab:two,consent=wipe`)
  const all = { image: 'lab', disk: '/dev/sda', writes: 'keep', consent: 'none' }
  t.deepEqual(machinery.of(['52:54:00:00:00:01']), { settings: all as never, isListed: false })
  const own = { ...all, image: 'lab:two', consent: 'wipe' }
  t.deepEqual(machinery.of([mac]), { settings: own as never, isListed: true })
})

test('a file lists machines by address or UUID, and an option adds to it', t => {
  const machinery = new Machinery({})
  machinery.addFile(
    'm.json',
    JSON.stringify({ [mac]: { disk: '/dev/vda' }, [uuid]: { name: 'pc-2' } })
  )
  machinery.addOption(`${mac},name=pc-1`)
  t.like(machinery.of([mac]).settings, { disk: '/dev/vda', name: 'pc-1' })
  t.like(machinery.of(['52:54:00:00:00:09', uuid]).settings, { name: 'pc-2' })
})

test('what could end a line, be expanded or be two arguments is refused', t => {
  const bad = [
    ...[`${mac},image=lab shell`, `${mac},disk=/dev/sda\nshell`, `${mac},disk=\${mac}`],
    ...[
      `${mac},append=a $b`,
      `${mac},append=a || shell`,
      `${mac},writes=often`,
      `${mac},colour=red`
    ],
    ...[
      `${mac},image`,
      `${mac},consent=yes`,
      `pc-1,image=lab`,
      `${mac},name=-x`,
      `${mac},__proto__=x`
    ]
  ]
  for (const text of bad) throwsWith(t, 'ERR_USAGE', () => new Machinery({}).addOption(text))
  for (const text of ['', '[]', '7', `{"${mac}":7}`, `{"${mac}":{"disk":7}}`, '{"pc":{}}']) {
    throwsWith(t, 'ERR_USAGE', () => new Machinery({}).addFile('m.json', text))
  }
  const error = throwsWith(t, 'ERR_USAGE', () => new Machinery({ writes: 'often' }))
  t.regex(error.message, /--writes cannot be "often"/)
})

test('an image name is one', t => {
  throwsWith(t, 'ERR_NAME_INVALID', () => new Machinery({ image: 'lab:' }))
})
