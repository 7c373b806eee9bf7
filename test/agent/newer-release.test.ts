import test from 'ava'
import { generateSigningKey } from '../../src/base/index.ts'
import { NewerRelease } from '../../src/agent/newer-release.ts'
import { imageCidText, signRelease } from '../../src/image/index.ts'
import { throwsWith } from '../helpers/errors.ts'

const lab = generateSigningKey()
const id = (digit: string): string => digit.repeat(64)
const pinned = { imageId: id('a'), size: 1, chunkSize: 1 } as unknown as Parameters<
  NewerRelease['newsOf']
>[1]
const release = (imageId: string, key = lab): Uint8Array =>
  signRelease(key, { name: 'lab', tag: 'latest', imageId, serial: 1, createdMs: 1 })

test('another image is news once, the same one is none', t => {
  const newer = new NewerRelease(lab.publicKey, 'lab')
  t.is(newer.newsOf(release(id('a')), pinned), undefined)
  const news = { event: 'newer', name: 'lab:latest', image: imageCidText(id('b')) } as const
  t.deepEqual(newer.newsOf(release(id('b')), pinned), news)
  t.is(newer.newsOf(release(id('b')), pinned), undefined)
  t.like(newer.newsOf(release(id('c')), pinned), { image: imageCidText(id('c')) })
})

test('that no image has the name is news once', t => {
  const newer = new NewerRelease(lab.publicKey, 'lab')
  const news = { event: 'unknown', name: 'lab', image: imageCidText(id('a')) } as const
  t.deepEqual(newer.newsOf(new Uint8Array(), pinned), news)
  t.is(newer.newsOf(new Uint8Array(), pinned), undefined)
})

test('what the lab did not sign is no news', t => {
  const newer = new NewerRelease(lab.publicKey, 'lab')
  const forged = release(id('b'), generateSigningKey())
  throwsWith(t, 'ERR_RELEASE_UNTRUSTED', () => newer.newsOf(forged, pinned))
})
