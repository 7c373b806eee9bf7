import type { Outcome } from './run.ts'

// A chart without a library: lines over the number of machines, a panel a question. Every colour is
// chosen to be read on light and on dark paper.

export interface Series {
  readonly name: string
  /** Machines and value, machines ascending. */
  readonly points: readonly (readonly [number, number])[]
}

export interface Panel {
  readonly title: string
  readonly series: readonly Series[]
}

const panelWidth = 420
const panelHeight = 250
const margin = { left: 52, right: 116, top: 34, bottom: 40 }
const colours: Readonly<Record<string, string>> = {
  bootswarm: '#2f81f7',
  nbdkit: '#d9822b',
  libtorrent: '#a371f7',
  http: '#2da44e',
  'http .zst': '#c4432b'
}
const otherColour = '#8b949e'
const ticksMax = 5
const labelPixels = 13

/** Time and seed upload against the number of machines, for each workload that was run. */
export function panelsOf(outcomes: readonly Outcome[]): Panel[] {
  const workloads = [...new Set(outcomes.map(({ workload }) => workload))]
  const titles = {
    replay: ['Boot replay: last machine, s', 'Boot replay: seed upload, MB'],
    copy: ['Full copy: last machine, s', 'Full copy: seed upload, MB']
  } as const
  return workloads.flatMap(workload => {
    const these = outcomes.filter(outcome => outcome.workload === workload)
    const names = [...new Set(these.map(({ name }) => name))]
    const values = [
      (outcome: Outcome): number => outcome.seconds,
      (outcome: Outcome): number => outcome.seedTraffic.sentBytes / 1e6
    ]
    return values.map((value, index) => ({
      title: titles[workload][index] ?? '',
      series: names.map(name => ({
        name,
        points: these
          .filter(outcome => outcome.name === name)
          .map(outcome => [outcome.machines, value(outcome)] as const)
          .sort(([a], [b]) => a - b)
      }))
    }))
  })
}

export function chart(panels: readonly Panel[]): string {
  const rows = Math.max(1, Math.ceil(panels.length / 2))
  const [width, height] = [2 * panelWidth, rows * panelHeight]
  // One grey for both: not every viewer asks which colour the page around the chart has.
  const style =
    'text{font:12px system-ui,sans-serif;fill:#768390}.title{font-weight:600}' +
    '.grid{stroke:#768390;stroke-opacity:.35}'
  const drawn = panels.map((panel, index) => {
    const [x, y] = [(index % 2) * panelWidth, Math.floor(index / 2) * panelHeight]
    return `<g transform="translate(${x},${y})">\n${drawPanel(panel)}\n</g>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<style>${style}</style>`,
    ...drawn,
    '</svg>',
    ''
  ].join('\n')
}

function drawPanel({ title, series }: Panel): string {
  const points = series.flatMap(({ points }) => points)
  const machines = [...new Set(points.map(([count]) => count))].sort((a, b) => a - b)
  const ticks = ticksUpTo(Math.max(...points.map(([, value]) => value)))
  const [fewest, most] = [machines[0] ?? 1, machines.at(-1) ?? 1]
  const spanX = panelWidth - margin.left - margin.right
  const spanY = panelHeight - margin.top - margin.bottom
  const x = (count: number): number =>
    margin.left +
    (most === fewest ? 0.5 : Math.log(count / fewest) / Math.log(most / fewest)) * spanX
  const y = (value: number): number => margin.top + (1 - value / (ticks.at(-1) ?? 1)) * spanY
  const right = panelWidth - margin.right
  return [
    text(margin.left, 18, 'start', title, 'title'),
    ...ticks.flatMap(tick => [
      `<line class="grid" x1="${margin.left}" x2="${right}" y1="${at(y(tick))}" y2="${at(y(tick))}"/>`,
      text(margin.left - 6, y(tick) + 4, 'end', String(tick))
    ]),
    ...machines.map(count => text(x(count), panelHeight - 22, 'middle', String(count))),
    text((margin.left + right) / 2, panelHeight - 6, 'middle', 'machines'),
    ...series.map(one => drawSeries(one, x, y)),
    ...labels(series, x, y)
  ].join('\n')
}

function drawSeries(
  { name, points }: Series,
  x: (count: number) => number,
  y: (value: number) => number
): string {
  const colour = colourOf(name)
  const path = points.map(([count, value]) => `${at(x(count))},${at(y(value))}`)
  const dots = path.map(point => {
    const [cx, cy] = point.split(',')
    return `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`
  })
  const line = `<polyline points="${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`
  return [line, ...dots].join('')
}

/** Each line is named at its end, with its last value; names that would touch move apart. */
function labels(
  series: readonly Series[],
  x: (count: number) => number,
  y: (value: number) => number
): string[] {
  let free = Infinity
  return series
    .flatMap(({ name, points }) => {
      const last = points.at(-1)
      return last === undefined ? [] : [{ name, value: last[1], x: x(last[0]), y: y(last[1]) }]
    })
    .sort((a, b) => b.y - a.y)
    .map(label => {
      free = Math.min(label.y + 4, free - labelPixels)
      const words = `${label.name} ${label.value.toFixed(label.value < 100 ? 1 : 0)}`
      return `<text x="${at(label.x + 8)}" y="${at(free)}" style="fill:${colourOf(label.name)}">${words}</text>`
    })
}

/** Round values from 0 to at least `most`. */
export function ticksUpTo(most: number): number[] {
  if (!(most > 0)) return [0, 1]
  const raw = most / ticksMax
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = ([1, 2, 5, 10].find(factor => factor * power >= raw) ?? 10) * power
  const count = Math.ceil(most / step)
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(6)))
}

function text(x: number, y: number, anchor: string, words: string, kind?: string): string {
  const cls = kind === undefined ? '' : ` class="${kind}"`
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}"${cls}>${words}</text>`
}

function at(value: number): string {
  return value.toFixed(1)
}

function colourOf(name: string): string {
  return colours[name] ?? otherColour
}
