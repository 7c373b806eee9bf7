import test from 'ava'
import type { MachineStatus } from '../../src/control/index.ts'
import { hostOf, peersWith } from '../../src/netboot/herd.ts'

const file = 'agent-x'

function machine(url: string, more: Partial<MachineStatus> = {}): MachineStatus {
  return {
    name: url,
    peerId: url,
    state: 'streaming',
    image: '',
    present: 0,
    rate: 0,
    bytesFromSeed: 0,
    bytesFromPeers: 0,
    seenSecondsAgo: 0,
    completion: null,
    bootUrls: [url],
    bootFiles: [file],
    ...more
  }
}

const near = ['http://10.0.1.2:1', 'http://10.0.1.3:1', 'http://10.0.1.4:1']
const far = 'http://10.0.2.2:1'

test('at most two, those of the same network first, in turn', t => {
  const machines = [far, ...near].map(url => machine(url))
  t.deepEqual(peersWith(file, machines, '10.0.1.9', 0), near.slice(0, 2))
  t.deepEqual(peersWith(file, machines, '10.0.1.9', 1), near.slice(1))
  t.deepEqual(peersWith(file, machines, '10.0.1.9', 2), [near[2], near[0]])
  t.deepEqual(peersWith(file, machines.slice(0, 2), '10.0.1.9', 5), [near[0], far])
})

test('who is gone, does not have the file, or is the asker itself is not named', t => {
  const machines = [
    machine(near[0] ?? '', { state: 'gone' }),
    machine(near[1] ?? '', { bootFiles: ['other'] }),
    machine(near[2] ?? '')
  ]
  t.deepEqual(peersWith(file, machines, '10.0.1.4', 0), [])
  t.deepEqual(peersWith(file, machines, '10.0.1.5', 0), [near[2]])
})

test('of several addresses of a machine the near one counts', t => {
  const both = machine('', { bootUrls: ['http://192.168.0.2:1', 'http://10.0.1.2:1'] })
  t.deepEqual(peersWith(file, [both], '10.0.1.9', 0), ['http://10.0.1.2:1'])
  t.deepEqual(peersWith(file, [both], '172.16.0.9', 0), ['http://192.168.0.2:1'])
})

test('IPv6 machines find each other', t => {
  const url = 'http://[fd00::2]:4913'
  t.deepEqual(peersWith(file, [machine(url)], 'fd00::3', 0), [url])
})

test('what a machine says that is no plain address goes into no script', t => {
  const bad = [
    ...['http://10.0.1.2:1\nshell', 'http://evil/', 'https://10.0.1.2:1', 'http://10.0.1.2:1/x'],
    ...['http://10.0.1.2', 'http://10.0.1.2:99999', 'http://999.0.1.2:1', 'http://${mac}:1', '']
  ]
  for (const url of bad) {
    t.is(hostOf(url), undefined, url)
    t.deepEqual(peersWith(file, [machine(url)], '10.0.1.9', 0), [], url)
  }
})
