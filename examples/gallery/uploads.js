// Photos on their way into an event: made smaller, stored twice, handed over, looked at.
import { MemoriaError } from '/clients/memoria.js'
import { Arrivals } from './arrivals.js'
import { begunBy, note } from './begun.js'
import { lastingToast } from './dom.js'
import { endingOf } from './kinds.js'
import { go, to } from './router.js'
import { client, erase, request, user, USER_CHANGED } from './session.js'
import { smaller } from './smaller.js'
import { texts } from './texts.js'

export const BUCKET = 'photos'
const PREVIEW_PX = 1024 // of the longer side: what grids and covers show
const AT_ONCE = 3, UPLOAD_MS = 300_000
const PATIENCE_MS = 10_000 // after a connection that failed
const TRIES = 3 // of a service that has no time
const PICTURES = new Set(`jpg jpeg jpe jfif png webp heic heif hif avif tif tiff bmp gif
  3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2
  srf srw x3f`.split(/\s+/)) // as media/names.py of the server has them
const queues = new Map()

/** The user's for an event, also after its page was left. */
export function queueOf(event) {
  const whose = `${user().id} ${event}`
  if (!queues.has(whose)) queues.set(whose, new Uploads(event, user().id))
  queues.get(whose).goOn()
  return queues.get(whose)
}

addEventListener(USER_CHANGED, () => queues.forEach((queue) => queue.goOn()))
addEventListener('beforeunload', (leaving) => {
  const busy = (queue) => queue.inState('waiting', 'sending').length
  if ([...queues.values()].some(busy)) leaving.preventDefault()
})

const isPicture = ({ name, type }) =>
  !name.startsWith('.') && (type.startsWith('image/') || PICTURES.has(endingOf(name).slice(1)))

/**
 * items: { name, file, id, state, faces, code, words }, those of a tab that ended without a file.
 * state: waiting, sending, looked_at, done; failed: it lies there and cannot be looked at, or is
 * gone; refused: it did not arrive. Tells a 'change' with those that changed. seen: by somebody.
 */
class Uploads extends EventTarget {
  seen = false
  #running = 0
  #arrivals = new Arrivals(this)

  constructor(event, user) {
    super()
    const items = begunBy(user, event).map((begun) => ({ ...begun, state: 'waiting' }))
    Object.assign(this, { event, user, items })
  }

  /** Whether its user is signed in. */
  get isTheirs() {
    return user()?.id === this.user
  }

  inState(...states) {
    return this.items.filter(({ state }) => states.includes(state))
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
    for (const item of items) Object.assign(item, { state: 'waiting', code: undefined, tries: 0 })
    this.#tell(items)
    this.goOn()
  }

  /** Sends what waits; nothing while its user is not signed in. */
  goOn() {
    if (!this.isTheirs) return
    if (this.inState('looked_at').length) this.#arrivals.follow()
    for (const item of this.inState('waiting').slice(0, AT_ONCE - this.#running)) {
      this.#running++
      this.#send(item).finally(() => {
        this.#running--
        this.goOn()
        if (!this.#running) this.#rest()
      })
    }
  }

  /** Raises MemoriaError where it could not be taken away: then it stays in the list. */
  async takeAway(item) {
    if (item.path) await this.#remove(item)
    this.#drop(item)
  }

  set(item, news) {
    Object.assign(item, news)
    this.#tell([item])
  }

  #tell(detail) {
    this.dispatchEvent(new CustomEvent('change', { detail }))
  }

  #drop(item) {
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

  #rest() {
    if (this.inState('looked_at').length) this.#arrivals.ask()
    const refused = this.inState('refused').length, show = () => go(to('upload', this.event))
    if (!refused || this.seen || !this.isTheirs) return
    lastingToast(texts.upload.notIn(refused), [texts.show, show])
  }

  async #send(item) {
    this.set(item, { state: 'sending' })
    try {
      if (item.file) await this.#storeTwice(item)
      await this.#handOver(item)
      this.set(item, { state: 'looked_at' })
      this.#arrivals.follow()
    } catch (error) {
      await this.#failed(item, error)
    }
  }

  async #storeTwice(item) {
    const { event, user } = this, { id, name, file } = item
    await file.slice(0, 1).arrayBuffer() // one that was moved is no connection that failed
    const preview = await smaller(file, PREVIEW_PX, 0.82) // none where no browser can
    const path = `${event}/${id}${endingOf(file.name)}`
    const preview_path = preview && `${event}/preview/${id}.jpg`
    Object.assign(item, { path, preview_path })
    note(id, { id, name, path, preview_path, event, user, since: Date.now() })
    if (preview) await this.#store(preview_path, preview)
    await this.#store(path, file)
  }

  #store(path, body) {
    this.#requireTheirs()
    const address = path.split('/').map(encodeURIComponent).join('/')
    const more = { headers: { 'x-upsert': 'true' }, deadline: UPLOAD_MS }
    return request(`/storage/v1/object/${BUCKET}/${address}`, body, more)
  }

  async #handOver({ id, path, preview_path }) {
    this.#requireTheirs()
    await client.enqueue({ media_id: id, event_id: this.event, bucket: BUCKET, path, preview_path })
    note(id, undefined)
  }

  /** In another user's name it would be lost to its own. */
  #requireTheirs() {
    if (!this.isTheirs) throw new MemoriaError({ code: 'unauthorized' })
  }

  async #failed(item, error) {
    const known = error instanceof MemoriaError ? error : { code: 'unreadable_file' }
    const { code, words, status } = known
    const busy = status === 429 || status >= 500
    if (busy) item.tries = (item.tries ?? 0) + 1
    if (!this.isTheirs || (busy && item.tries < TRIES)) this.set(item, { state: 'waiting' })
    else if (code === 'forbidden' && !item.file) await this.#neverArrived(item)
    else this.set(item, { state: 'refused', code, words })
    if (busy || code === 'unreachable') await connection()
  }

  /** Unless another tab is just sending it. */
  async #neverArrived(item) {
    if (Date.now() - item.since < 2 * UPLOAD_MS) return this.#drop(item)
    this.set(item, { state: 'failed', code: 'not_arrived' })
    await this.#remove(item).catch(() => {}) // noted still: the next time
  }
}

/** Until there may be one again: one that failed would refuse all that wait. */
const connection = () => new Promise((resolve) => {
  addEventListener('online', resolve, { once: true })
  if (navigator.onLine) setTimeout(resolve, PATIENCE_MS)
})
