// Photos on their way into an event: made smaller, stored twice, handed over, looked at.
import { MemoriaError } from '/clients/memoria.js'
import { endingOf } from './photos.js'
import { client, erase, request, user } from './session.js'
import { smaller } from './smaller.js'

export const BUCKET = 'photos'
const PREVIEW_PX = 1024 // of the longer side: what grids and covers show
const AT_ONCE = 3, UPLOAD_MS = 300_000
const PATIENCE_MS = 10_000 // after a connection that failed
const PICTURES = new Set(`jpg jpeg jpe jfif png webp heic heif hif avif tif tiff bmp gif
  3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2
  srf srw x3f`.split(/\s+/)) // as media/names.py of the server has them
const BEGUN = 'memoria-begun' // and not handed over, by id: a tab may end in between
const queues = new Map()

/** The user's for an event, also after its page was left; it goes on where a session had ended. */
export function queueOf(event) {
  const whose = `${user().id} ${event}`
  if (!queues.has(whose)) queues.set(whose, new Uploads(event, user().id))
  queues.get(whose).goOn()
  return queues.get(whose)
}

addEventListener('beforeunload', (leaving) => {
  if ([...queues.values()].some((queue) => queue.busy)) leaving.preventDefault()
})

const allBegun = () => JSON.parse(localStorage.getItem(BEGUN) ?? '{}')

/** Notes what was begun; undefined: it was handed over. */
const note = (id, begun) =>
  localStorage.setItem(BEGUN, JSON.stringify({ ...allBegun(), [id]: begun }))

const isPicture = ({ name, type }) =>
  !name.startsWith('.') && (type.startsWith('image/') || PICTURES.has(endingOf(name).slice(1)))

/**
 * items: { name, file, id, state, faces, code, words }. state: waiting, sending, looked_at, done;
 * failed: it lies there and cannot be looked at; refused: it did not arrive. Tells a 'change' with
 * those that changed.
 */
class Uploads extends EventTarget {
  items = []
  #running = 0
  #stop = null

  constructor(event, user) {
    super()
    Object.assign(this, { event, user })
    this.#resume()
  }

  get busy() {
    return this.#has('waiting', 'sending')
  }

  get #isTheirs() { // the session
    return user()?.id === this.user
  }

  #has(...states) {
    return this.items.some(({ state }) => states.includes(state))
  }

  /** Answers the names of files that are no photos, by their kind and name. */
  add(files) {
    const name = (file) => file.webkitRelativePath || file.name
    const added = files.filter(isPicture).map((file) =>
      ({ file, name: name(file), id: crypto.randomUUID() }))
    this.items.push(...added)
    this.again(...added)
    return files.filter((file) => !isPicture(file)).map(name)
  }

  again(...items) {
    for (const item of items) Object.assign(item, { state: 'waiting', code: undefined })
    this.#tell(items)
    this.goOn()
  }

  /** Raises MemoriaError where it could not be taken away: then it stays in the list. */
  async takeAway(item) {
    if (item.path) await this.#remove(item)
    this.items = this.items.filter((other) => other !== item)
    this.#tell([])
  }

  /** From the event and from Storage, as far as it arrived there. */
  async #remove({ id, path, preview_path }) {
    await client.deleteMedia({ media_id: id }).catch((error) => {
      if (error.code !== 'not_found') throw error
    })
    await erase(BUCKET, [path, preview_path].filter(Boolean))
    note(id, undefined)
  }

  /** What this browser had begun when its tab ended: handed over now; what did not arrive goes. */
  async #resume() {
    const mine = Object.values(allBegun()).filter((begun) =>
      begun.event === this.event && begun.user === this.user)
    for (const { since, ...item } of mine) {
      try {
        await this.#handOver(item)
        this.items.push(item)
        this.#set(item, { state: 'looked_at' })
      } catch (error) {
        const old = Date.now() - since > 2 * UPLOAD_MS // not on its way in another tab
        if (error.code === 'forbidden' && old) await this.#remove(item).catch(() => {})
      }
    }
  }

  async #handOver({ id, path, preview_path }) {
    if (!this.#isTheirs) throw new MemoriaError({ code: 'unauthorized' }) // no other user's
    await client.enqueue({ media_id: id, event_id: this.event, bucket: BUCKET, path, preview_path })
    note(id, undefined)
    this.#stop ??= client.watch(this.event, (news) => this.#hear(news))
  }

  #tell(detail) {
    this.dispatchEvent(new CustomEvent('change', { detail }))
  }

  #set(item, news) {
    Object.assign(item, news)
    this.#tell([item])
  }

  /** Sends what waits; nothing while its user is not signed in. */
  goOn() {
    if (!this.#isTheirs) return
    const waiting = this.items.filter(({ state }) => state === 'waiting')
    for (const item of waiting.slice(0, AT_ONCE - this.#running)) {
      this.#running++
      this.#send(item).finally(() => {
        this.#running--
        this.goOn()
        if (!this.#running && this.#stop) this.#hear({ event: 'progress' }) // may have come before
      })
    }
  }

  async #send(item) {
    this.#set(item, { state: 'sending' })
    try {
      await item.file.slice(0, 1).arrayBuffer() // one that was moved is no connection that failed
      const preview = await smaller(item.file, PREVIEW_PX, 0.82) // none where no browser can
      const { event, user } = this, { id, name } = item
      item.path = `${event}/${id}${endingOf(item.file.name)}`
      item.preview_path = preview && `${event}/preview/${id}.jpg`
      const { path, preview_path } = item
      note(id, { id, name, path, preview_path, event, user, since: Date.now() })
      if (preview) await store(preview_path, preview)
      await store(path, item.file)
      await this.#handOver(item)
      this.#set(item, { state: 'looked_at' })
    } catch (error) {
      const known = error instanceof MemoriaError ? error : { code: 'unreadable_file' }
      this.#set(item, this.#isTheirs ? { state: 'refused', code: known.code, words: known.words }
        : { state: 'waiting' }) // for its user to sign in
      if (known.code === 'unreachable') await connection()
    }
  }

  /** What became of the photos that were handed over. */
  async #hear(news) {
    const item = this.items.find(({ id }) => id === news.media_id)
    if (item) this.#set(item, { state: 'failed', code: news.code })
    if (news.event !== 'progress') return
    try {
      await this.#ask()
    } catch {
      setTimeout(() => this.#hear(news), 5000)
    }
    if (this.#running || this.#has('waiting', 'sending', 'looked_at')) return
    this.#stop?.()
    this.#stop = null
  }

  async #ask() {
    const asked = this.items.filter(({ state }) => state === 'looked_at')
    const pending = new Set(), about = { event_id: this.event, status: 'pending', limit: 500 }
    for (let after = null, page; !page || after !== null; after = page.next) {
      page = await client.media({ ...about, after }) // not all(): they change while they are read
      for (const { media_id } of page.media) pending.add(media_id)
    }
    for (const item of asked.filter(({ id }) => !pending.has(id))) {
      const { status, faces, error } = await client.photo({ media_id: item.id })
      if (status === 'completed') this.#set(item, { state: 'done', faces: faces.length })
      if (status === 'failed') this.#set(item, { state: 'failed', code: error.code })
    }
  }
}

function store(path, body) {
  const address = path.split('/').map(encodeURIComponent).join('/')
  const more = { headers: { 'x-upsert': 'true' }, deadline: UPLOAD_MS }
  return request(`/storage/v1/object/${BUCKET}/${address}`, body, more)
}

/** Until there may be one again: one that failed would refuse all that wait. */
const connection = () => new Promise((resolve) => {
  addEventListener('online', resolve, { once: true })
  if (navigator.onLine) setTimeout(resolve, PATIENCE_MS)
})
