import test from 'ava'
import { AgentNode } from './agent-node.ts'
import { Checkers } from './checkers.ts'
import type { LabOptions } from './lab-options.ts'
import { defaultOptions } from './options.ts'
import { Port } from './port.ts'
import { Processor } from './processor.ts'
import { smallImage } from './sim-image.ts'
import { World } from './world.ts'

const megabyte = 1_000_000

/** Machines that are up and do nothing of themselves. */
function lab(options: Partial<LabOptions>): { world: World; nodes: AgentNode[] } {
  const all = { ...defaultOptions, ...options }
  const world = new World(all, smallImage(8, 1_000, 0), made => new Checkers(made))
  const nodes = [0, 1, 2].map(n => {
    const { network } = world
    const lines = { up: network.port(all.mbit), down: network.port(all.mbit) }
    const rack = all.rackSize > 0 ? Math.floor(n / all.rackSize) : undefined
    const node = new AgentNode(world, `n${n}`, { ...lines, processor: new Processor(), rack })
    node.state = 'up'
    world.add(node)
    return node
  })
  return { world, nodes }
}

function runUntil(world: World, end: number): void {
  while (world.events.step(end));
}

function nodeOf(nodes: readonly AgentNode[], n: number): AgentNode {
  const node = nodes[n]
  if (node === undefined) throw new Error(`no node ${n}`)
  return node
}

/** When the last of two times 500 kB is at a machine to which two others send it over 8 Mbit/s. */
function secondsOfTwo(options: Partial<LabOptions>): number {
  const { world, nodes } = lab({ ...options, mbit: 8, payloadShare: 1, burstBytes: 0 })
  const receiver = nodeOf(nodes, 0)
  let left = megabyte
  let endedAt = 0
  receiver.onPiece = (_link, _request, bytes) => {
    left -= bytes
    if (left <= 0) endedAt = world.events.now
  }
  for (const sender of nodes.slice(1)) {
    world.connect(sender, receiver.id, link => {
      for (let sent = 0; sent < megabyte / 2; sent += 10_000) {
        link?.sendSegment(1, new Uint8Array(10_000))
      }
    })
  }
  runUntil(world, 60_000)
  return Math.round(endedAt / 1_000)
}

test('a port lets a burst pass at once and the rest at its rate', t => {
  const port = new Port(1_000, 100_000)
  t.true(port.pass(0, 100_000) < 1)
  t.is(Math.round(port.pass(0, megabyte)), 1_000)
  // Idle for a tenth of a second, the bucket is full again.
  t.true(port.pass(1_200, 100_000) - 1_200 < 1)
})

test('a connection takes three round trips and both handshakes', t => {
  const { world, nodes } = lab({ latencyMs: 10 })
  let joinedAt = 0
  world.connect(nodeOf(nodes, 0), 'n1', () => (joinedAt = world.events.now))
  runUntil(world, 1_000)
  const { handshakeMs } = defaultOptions.costs
  t.is(joinedAt, 3 * 2 * 10 + 10 + handshakeMs)
})

test('two senders share the receiver’s line', t => {
  t.is(secondsOfTwo({}), 1)
})

test('what goes into a rack goes through its line', t => {
  t.is(secondsOfTwo({ rackSize: 1, rackMbit: 4 }), 2)
})

test('a full way holds back one connection, not the sender’s others', t => {
  const { world, nodes } = lab({ mbit: 8, payloadShare: 1, burstBytes: 0 })
  const [sender, full, free] = [nodeOf(nodes, 0), nodeOf(nodes, 1), nodeOf(nodes, 2)]
  full.down.pass(0, megabyte)
  let cameAt = 0
  free.onPiece = () => (cameAt = world.events.now)
  full.onPiece = () => t.true(world.events.now > 1_000)
  for (const to of ['n1', 'n2']) {
    world.connect(sender, to, link => link?.sendSegment(1, new Uint8Array(10_000)))
  }
  runUntil(world, 5_000)
  t.true(cameAt > 0 && cameAt < 100)
  t.is(sender.committedBytes, 0)
})

test('what was handed to a connection that ends is forgotten', t => {
  const { world, nodes } = lab({ mbit: 8 })
  const sender = nodeOf(nodes, 0)
  world.connect(sender, 'n1', link => {
    for (let n = 0; n < 20; n += 1) link?.sendSegment(1, new Uint8Array(10_000))
  })
  runUntil(world, 50)
  t.true(sender.committedBytes > 0)
  nodeOf(nodes, 1).fail('dead')
  runUntil(world, 100)
  t.is(sender.committedBytes, 0)
  t.is(sender.links.size, 0)
})

test('a dead machine refuses at once; to one whose line is cut a dial takes its time', t => {
  const { world, nodes } = lab({})
  nodeOf(nodes, 1).fail('dead')
  nodeOf(nodes, 2).fail('cut')
  const failed: [string, number][] = []
  for (const id of ['n1', 'n2']) {
    world.connect(nodeOf(nodes, 0), id, link => {
      if (link === undefined) failed.push([id, Math.round(world.events.now)])
    })
  }
  runUntil(world, 10_000)
  t.deepEqual(failed, [
    ['n1', 0],
    ['n2', 5_000]
  ])
})
