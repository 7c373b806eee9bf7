import test from 'ava'
import { Wakefulness, type Turns } from '../../src/nbd/wakefulness.ts'

function madeTurns() {
  let waiting: (() => void) | undefined
  const turns = {
    ms: 0,
    isBusy: false,
    areWanted: () => turns.isBusy,
    now: () => turns.ms,
    next: (look: () => void) => void (waiting = look),
    /** Takes the next turn; false if there is none and the loop sleeps. */
    turn: (): boolean => {
      const look = waiting
      waiting = undefined
      look?.()
      return look !== undefined
    }
  }
  return turns satisfies Turns
}

/** Requests at this distance in ms, each after whatever turns the loop would have taken meanwhile. */
function hear(wakefulness: Wakefulness, turns: ReturnType<typeof madeTurns>, gaps: number[]) {
  return gaps.map(gap => {
    const end = turns.ms + gap
    let isAwake = turns.turn()
    for (; isAwake && turns.ms < end; isAwake = turns.turn()) turns.ms += 0.005
    turns.ms = end
    wakefulness.heard()
    return isAwake
  })
}

test('who asks again at once, several times, is not slept for', t => {
  const turns = madeTurns()
  const wakefulness = new Wakefulness(() => 0, turns)
  const awake = hear(wakefulness, turns, Array<number>(10).fill(0.03))
  t.deepEqual(awake.slice(0, 4), [false, false, false, false])
  t.true(awake.slice(6).every(each => each))
})

test('it falls asleep when nothing comes, and is then harder to keep awake', t => {
  const turns = madeTurns()
  const wakefulness = new Wakefulness(() => 0, turns)
  t.true(hear(wakefulness, turns, Array<number>(10).fill(0.03)).at(-1))
  const awake = hear(wakefulness, turns, [1, ...Array<number>(60).fill(0.03)])
  t.false(awake[0], 'it has fallen asleep')
  t.false(awake.slice(0, 30).some(each => each))
  t.true(awake.at(-1))
})

test('clients that take their time are slept for', t => {
  const turns = madeTurns()
  const awake = hear(new Wakefulness(() => 0, turns), turns, Array<number>(200).fill(0.2))
  t.false(awake.some(each => each))
})

test('what is under way is waited for awake if it is quick, and one at a time', t => {
  const turns = madeTurns()
  let underWay = 0
  const wakefulness = new Wakefulness(() => underWay, turns)
  /** The client asks, and is answered after so long; whether the loop was awake then. */
  const exchange = (ms: number, asked = 1): boolean => {
    turns.ms += 0.03
    wakefulness.heard()
    underWay = asked
    const end = turns.ms + ms
    let isAwake = turns.turn()
    for (; isAwake && turns.ms < end; isAwake = turns.turn()) turns.ms += 0.005
    turns.ms = end
    underWay = 0
    wakefulness.answered()
    return isAwake
  }
  for (let times = 0; times < 5; times++) exchange(0.2)
  t.true(exchange(0.2))
  t.false(exchange(0.2, 2), 'side by side they need the processor')
  t.true(exchange(0.2))
  t.false(exchange(5), 'it takes longer this time')
  t.false(exchange(0.2), 'and so it may again')
})

test('where others want the processor it sleeps', t => {
  const turns = madeTurns()
  const wakefulness = new Wakefulness(() => 0, turns)
  t.true(hear(wakefulness, turns, Array<number>(10).fill(0.03)).at(-1))
  turns.isBusy = true
  t.deepEqual(hear(wakefulness, turns, Array<number>(3).fill(0.03)), [false, false, false])
})
