// What becomes of photos that were handed over: faces were found, or it cannot be looked at.
import { client } from './session.js'

const PATIENCE_MS = 5_000 // after an answer that did not come
const GONE = ['not_found', 'forbidden'] // the event, or the right to see it

export class Arrivals {
  #queue
  #stop = null
  #timer

  constructor(queue) {
    this.#queue = queue
  }

  /** Until the last was looked at, or its user is gone. */
  follow() {
    this.#stop ??= client.watch(this.#queue.event, (news) => this.#hear(news))
  }

  /** Now: news may have come before the photo that they are about was known here. */
  async ask() {
    const queue = this.#queue, again = () => this.#hear({ event: 'progress' })
    try {
      await this.#look()
    } catch (error) {
      clearTimeout(this.#timer) // of another look that failed meanwhile
      if (GONE.includes(error.code) && queue.isTheirs) this.#giveUp(error)
      else if (this.#stop) this.#timer = setTimeout(again, PATIENCE_MS)
      return
    }
    if (!queue.inState('waiting', 'sending', 'looked_at').length) this.#end()
  }

  #hear({ event, media_id, code, message }) {
    if (!this.#queue.isTheirs) return this.#end()
    const failed = event === 'photo_failed' && this.#queue.items.find(({ id }) => id === media_id)
    if (failed) this.#queue.set(failed, { state: 'failed', code, message })
    if (event === 'progress' || event === 'error') this.ask()
  }

  async #look() {
    const asked = this.#queue.inState('looked_at'), pending = new Set()
    const about = { event_id: this.#queue.event, status: 'pending', limit: 500 }
    for (let after = null, page; !page || after !== null; after = page.next) {
      page = await client.media({ ...about, after }) // not all(): they change while they are read
      for (const { media_id } of page.media) pending.add(media_id)
    }
    for (const item of asked) if (!pending.has(item.id)) this.#queue.set(item, await became(item))
  }

  #giveUp({ code, words }) {
    for (const item of this.#queue.inState('looked_at')) {
      this.#queue.set(item, { state: 'failed', code, words })
    }
    this.#end()
  }

  #end() {
    clearTimeout(this.#timer)
    this.#stop?.()
    this.#stop = null
  }
}

async function became({ id }) {
  try {
    const { status, faces, error } = await client.photo({ media_id: id })
    if (status === 'completed') return { state: 'done', faces: faces.length }
    return status === 'failed' ? { state: 'failed', ...error } : {}
  } catch (error) {
    if (error.code === 'not_found') return { state: 'failed', code: 'media_gone' }
    throw error
  }
}
