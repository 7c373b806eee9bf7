import type { ChunkId, RequestClass } from '../../src/base/index.ts'
import type { SimLink } from './sim-link.ts'

interface Download {
  readonly link: SimLink
  /** Undefined until the peer has picked it. */
  item: number | undefined
  frameBytes: number
  received: number
}

interface WantedItem {
  readonly item: number
  readonly class: RequestClass
  readonly insist: boolean
}

/** The requests that are out, as src/swarm/downloads.ts keeps them, without bytes. */
export class AgentDownloads {
  #next = 1
  #byRequest = new Map<number, Download>()
  /** Peer and item → the request for it there. */
  #byItem = new Map<string, number>()

  request(link: SimLink, want: WantedItem, id: ChunkId): void {
    const { item, insist } = want
    const key = keyOf(link, item)
    let request = this.#byItem.get(key)
    if (request === undefined || this.#byRequest.get(request)?.link !== link) {
      request = this.#next
      this.#next += 1
      this.#byItem.set(key, request)
      this.#byRequest.set(request, { link, item, frameBytes: 0, received: 0 })
    }
    link.send({ type: 'want', request, class: want.class, insist, id })
  }

  more(link: SimLink, imageId: ChunkId, requestClass: RequestClass): void {
    const request = this.#next
    this.#next += 1
    this.#byRequest.set(request, { link, item: undefined, frameBytes: 0, received: 0 })
    link.send({ type: 'more', request, class: requestClass, imageId })
  }

  given(request: number, item: number): void {
    const download = this.#byRequest.get(request)
    if (download === undefined) return
    download.item = item
    this.#byItem.set(keyOf(download.link, item), request)
  }

  cancel(link: SimLink, item: number): void {
    const request = this.#byItem.get(keyOf(link, item))
    if (request === undefined || this.#byRequest.get(request)?.link !== link) return
    this.over(request)
    link.send({ type: 'cancel', request })
  }

  /** Undefined for what was cancelled meanwhile. */
  find(link: SimLink, request: number): Download | undefined {
    const download = this.#byRequest.get(request)
    return download?.link === link ? download : undefined
  }

  over(request: number): void {
    const download = this.#byRequest.get(request)
    this.#byRequest.delete(request)
    if (download?.item === undefined) return
    const key = keyOf(download.link, download.item)
    if (this.#byItem.get(key) === request) this.#byItem.delete(key)
  }

  gone(link: SimLink): void {
    for (const [request, download] of this.#byRequest) {
      if (download.link === link) this.over(request)
    }
  }
}

function keyOf(link: SimLink, item: number): string {
  return `${link.peerId} ${item}`
}
