// The photos that are on their way into an event: made smaller, stored twice, handed over, looked at.
import { MemoriaError } from '/clients/memoria.js'
import { allBegun, note } from './begun.js'
import { smaller } from './smaller.js'

export const BUCKET = 'photos'
const PREVIEW_PX = 1024 // of the longer side: what grids and covers show
const AT_ONCE = 3
const PATIENCE_MS = 10_000 // after a connection that failed
const UPLOAD_MS = 300_000
const PICTURE = /\.(jpe?g|png|webp|heic|heif|avif|tiff?|bmp|gif|dng|cr2|nef|arw)$/i
const queues = new Map()

/** The one of an event, also after its page was left. */
export function queueOf(event, client, session) {
  if (!queues.has(event)) queues.set(event, new Uploads(event, client, session))
  return queues.get(event)
}

addEventListener('beforeunload', (leaving) => {
  if ([...queues.values()].some((queue) => queue.busy)) leaving.preventDefault()
})

/**
 * items: { name, file, id, state: waiting | sending | looked_at | done | failed | refused, faces, code, words }.
 * Tells a 'change' with those that changed. failed: it lies there and cannot be looked at; refused: it
 * did not arrive.
 */
class Uploads extends EventTarget {
  items = []
  #running = 0
  #stop = null

  constructor(event, client, session) {
    super()
    Object.assign(this, { event, client, session })
    this.#resume()
  }

  get busy() {
    return this.items.some(({ state }) => state === 'waiting' || state === 'sending')
  }

  /** Answers how many files are no photos, by their kind and name. */
  add(files) {
    const added = files.filter(({ name, type }) => !name.startsWith('.') && (type.startsWith('image/') || PICTURE.test(name)))
      .map((file) => ({ file, name: file.webkitRelativePath || file.name, id: crypto.randomUUID(), state: 'waiting' }))
    this.items.push(...added)
    this.#tell(added)
    this.#next()
    return files.length - added.length
  }

  again(...items) {
    for (const item of items) Object.assign(item, { state: 'waiting', code: undefined })
    this.#tell(items)
    this.#next()
  }

  /** Raises MemoriaError where it could not be taken away: then it stays in the list. */
  async takeAway(item) {
    if (item.path) await this.#remove(item)
    this.items = this.items.filter((other) => other !== item)
    this.#tell([])
  }

  /** From the event and from Storage, as far as it arrived there. */
  async #remove({ id, path, preview_path }) {
    await this.client.deleteMedia({ media_id: id }).catch((error) => { if (error.code !== 'not_found') throw error })
    const prefixes = [path, preview_path].filter(Boolean)
    await this.session.request(`/storage/v1/object/${BUCKET}`, { method: 'DELETE', body: { prefixes } })
    note(id, null)
  }

  /** What this browser had begun when its tab ended: handed over now; what did not arrive goes. */
  async #resume() {
    const user = this.session.user().id
    for (const begun of Object.values(allBegun())) {
      const { name, since, ...item } = begun
      if (begun.event !== this.event || begun.user !== user) continue
      try {
        await this.#handOver(item)
        this.items.push({ id: item.id, name, path: item.path, preview_path: item.preview_path, state: 'looked_at' })
        this.#tell(this.items.slice(-1))
      } catch (error) {
        const lost = error.code === 'forbidden' && Date.now() - since > 2 * UPLOAD_MS // not on its way in another tab
        if (lost) await this.#remove(item).catch(() => {})
      }
    }
  }

  async #handOver({ id, path, preview_path }) {
    await this.client.enqueue({ media_id: id, event_id: this.event, bucket: BUCKET, path, preview_path })
    note(id, null)
    this.#stop ??= this.client.watch(this.event, (news) => this.#hear(news))
  }

  #tell(detail) {
    this.dispatchEvent(new CustomEvent('change', { detail }))
  }

  #set(item, news) {
    Object.assign(item, news)
    this.#tell([item])
  }

  #next() {
    for (const item of this.items) {
      if (this.#running >= AT_ONCE) return
      if (item.state !== 'waiting') continue
      this.#running++
      this.#set(item, { state: 'sending' })
      this.#send(item).finally(() => { this.#running--; this.#next() })
    }
  }

  async #send(item) {
    try {
      await item.file.slice(0, 1).arrayBuffer() // one that was moved is no connection that failed
      const ending = /\.\w+$/.exec(item.file.name)?.[0].toLowerCase() ?? ''
      item.path = `${this.event}/${item.id}${ending}`
      const preview = await smaller(item.file, PREVIEW_PX, 0.82) // none of what this browser cannot read: it is looked at all the same
      item.preview_path = preview && `${this.event}/preview/${item.id}.jpg`
      const { id, name, path, preview_path } = item, user = this.session.user().id
      note(id, { id, name, path, preview_path, event: this.event, user, since: Date.now() })
      if (preview) await this.#store(item.preview_path, preview)
      await this.#store(item.path, item.file)
      await this.#handOver(item)
      this.#set(item, { state: 'looked_at' })
    } catch (error) {
      const { code, words } = error instanceof MemoriaError ? error : { code: 'unreadable_file' }
      this.#set(item, { state: 'refused', code, words })
      if (code === 'unreachable') await connection()
    }
  }

  #store(path, body) {
    const address = `/storage/v1/object/${BUCKET}/${path.split('/').map(encodeURIComponent).join('/')}`
    return this.session.request(address, { body, headers: { 'x-upsert': 'true' }, deadline: UPLOAD_MS })
  }

  /** What became of the photos that were handed over. */
  async #hear(news) {
    if (news.event === 'photo_failed') {
      const item = this.items.find(({ id }) => id === news.media_id)
      if (item) this.#set(item, { state: 'failed', code: news.code })
    }
    if (news.event !== 'progress') return
    const asked = this.items.filter(({ state }) => state === 'looked_at')
    try {
      const pending = await this.#pending()
      const ended = asked.filter(({ id, state }) => state === 'looked_at' && !pending.has(id))
      for (const item of ended) {
        const { status, faces, error } = await this.client.photo({ media_id: item.id })
        if (status === 'completed') this.#set(item, { state: 'done', faces: faces.length })
        else if (status === 'failed') this.#set(item, { state: 'failed', code: error.code })
      }
    } catch {
      setTimeout(() => this.#hear(news), 5000)
    }
    if (this.#running || this.busy || this.items.some(({ state }) => state === 'looked_at')) return
    this.#stop?.()
    this.#stop = null
  }

  async #pending() {
    const found = new Set()
    for (let after = null; ;) {
      const { media, next } = await this.client.media({ event_id: this.event, status: 'pending', after, limit: 500 })
      for (const { media_id } of media) found.add(media_id)
      if (next === null) return found
      after = next
    }
  }
}

/** Until there may be one again: one that failed would refuse all that wait. */
const connection = () => new Promise((resolve) => {
  addEventListener('online', resolve, { once: true })
  if (navigator.onLine) setTimeout(resolve, PATIENCE_MS)
})
