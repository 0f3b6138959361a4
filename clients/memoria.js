/**
 * Memoria for your app: one file, no dependency. Copy it beside memoria.d.ts, or import it.
 *
 *   const memoria = createMemoria({ supabase })                 // a supabase-js client
 *   const memoria = createMemoria({ url, key, accessToken })    // or without one
 *   const { people } = await memoria.people({ event_id })
 *
 * Every SQL function that apps call is a method, its arguments those of docs/sql-surface.md without p_.
 */

const CALLS = `
  create_event set_owner add_member remove_member members event_status archive_event reopen_event
  delete_event recluster reprocess set_retention enqueue enqueue_many delete_media
  people person_photos photos_with photo media unassigned_faces history undo
  rename_person hide_person assign_face reject_face merge_people split_person forget_person
  reject_faces tell_apart set_cover dismiss_face add_face suggestions answer_suggestion
  create_search_link open_search search_links revoke_search_link searches may_follow
`.trim().split(/\s+/)

/** The calls that answer in pages -> where the items of a page are. */
const LISTS = {
  people: 'people', personPhotos: 'photos', photosWith: 'photos', media: 'media', unassignedFaces: 'faces',
  history: 'changes', searchLinks: 'links', members: 'members',
}

/** Codes that are not already words: PostgreSQL's, PostgREST's, PT and an HTTP status; statuses. */
const CODES = {
  42501: 'forbidden', PT403: 'forbidden', PT404: 'not_found', PT409: 'conflict', PT429: 'too_many',
  22001: 'invalid_request', 22023: 'invalid_request', '22P02': 'invalid_request', 23502: 'invalid_request',
  23514: 'invalid_request', 57014: 'timed_out', PGRST202: 'not_installed', PGRST301: 'unauthorized',
  PGRST302: 'unauthorized', PGRST303: 'unauthorized',
  200: 'not_json', 400: 'invalid_request', 401: 'unauthorized', 403: 'forbidden', 404: 'not_found',
}

/** What may be shown to whoever uses the app. */
const WORDS = {
  conflict: 'That cannot be done as things stand now.',
  consent_required: 'Please accept the current text first.',
  event_archived: 'This event is closed.',
  face_too_small: 'Your face is too small in this picture. Come closer.',
  face_unclear: 'Your face is hard to see in this picture. Look into the camera, in better light.',
  forbidden: 'You may not do that.',
  invalid_request: 'Something in this request is wrong.',
  media_too_large: 'This picture is too large.',
  model_changed: 'This event is being updated. Try again later.',
  no_face: 'There is no face in this picture. Try another one.',
  not_found: 'It is not there, or you may not see it.',
  not_grouped_yet: 'The photos are not sorted yet. Try again in a few minutes.',
  not_installed: 'This app is not set up completely.',
  person_limit: 'You cannot search for more people in this event.',
  several_faces: 'There are several faces in this picture. Which one is yours?',
  several_people: 'These pictures show different people.',
  suggestion_gone: 'This question is settled already.',
  timed_out: 'That took too long. Try again.',
  too_many: 'That was too much at once. Try again later.',
  too_many_searches: 'That were many searches. Try again in a few minutes.',
  unauthorized: 'Please sign in again.',
  unreachable: 'There is no connection. Try again.',
  unreadable_media: 'This picture cannot be read. Try another one.',
  unsupported_media_type: 'Files of this kind cannot be read. Try another one.',
}

export class MemoriaError extends Error {
  constructor({ message, status = 0, cause, details, ...more }) {
    super(message, { cause })
    this.name = 'MemoriaError'
    const told = parsed(details) // PostgREST's are a text, and an object as JSON where Memoria wrote it
    this.details = told?.constructor === Object ? told : {}
    const code = typeof this.details.code === 'string' ? this.details.code : more.code
    this.code = CODES[code] ?? (/^[a-z_]+$/.test(code ?? '') ? code : CODES[status] ?? 'unavailable')
    this.words = WORDS[this.code] ?? 'Something went wrong. Try again later.'
    this.status = status
    if (more.retry_after_seconds) this.retryAfterSeconds = more.retry_after_seconds
    if (more.faces) this.faces = more.faces
  }
}

export function createMemoria({
  supabase, url, key, accessToken, searchUrl, timeoutMs = 30_000, fetch = globalThis.fetch,
}) {
  if (!supabase && !(url && key) && !searchUrl) {
    throw new TypeError('createMemoria needs supabase, or url and key, or searchUrl')
  }

  async function ask(address, options) {
    const signal = AbortSignal.timeout(timeoutMs)
    try {
      const answer = await fetch(address, { ...options, signal })
      const { ok, status } = answer, body = parsed(await answer.text() || 'null')
      if (ok && body !== undefined) return body // else it was cut off, and that is no answer
      throw new MemoriaError({ message: `answered ${status}`, ...(body?.error ?? body), status })
    } catch (cause) {
      if (cause instanceof MemoriaError) throw cause
      const code = signal.aborted ? 'timed_out' : 'unreachable'
      throw new MemoriaError({ code, message: cause.message, cause })
    }
  }

  async function askSupabase(name, args) {
    const { data, error, status } = await supabase.rpc(name, args)
    if (!error) return data
    // supabase-js answers what fetch threw as an error without a code
    const code = error.code || (status ? undefined : 'unreachable')
    throw new MemoriaError({ code, message: error.message, details: error.details, status, cause: error })
  }

  async function askRest(name, args) {
    const token = typeof accessToken === 'function' ? await accessToken() : accessToken
    const headers = { apikey: key, 'Content-Type': 'application/json' }
    if (token) headers.Authorization = `Bearer ${token}`
    return ask(`${url}/rest/v1/rpc/${name}`, { method: 'POST', headers, body: JSON.stringify(args) })
  }

  function call(name, args = {}) {
    if (!supabase && !url) throw new TypeError(`${name} needs supabase, or url and key`)
    const sent = Object.fromEntries(Object.entries(args).map(([word, value]) => [`p_${word}`, value]))
    return (supabase ? askSupabase : askRest)(`memoria_${name}`, sent)
  }

  function askSearch(path, method, { token, guest }, body) {
    if (!searchUrl) throw new TypeError('a search needs searchUrl')
    const headers = { Authorization: `Search ${token}` }
    if (guest && !body) headers['X-Memoria-Guest'] = bytes(guest)
    return ask(`${searchUrl}/search${path}`, { method, headers, body })
  }

  const memoria = {
    async all(name, args) {
      for (let turn = 0; turn < 5; turn++) {
        let page = await memoria[name](args)
        const { version } = page, items = [...page[LISTS[name]]]
        while (page.next !== null && page.version === version) {
          page = await memoria[name]({ ...args, after: page.next })
          items.push(...page[LISTS[name]])
        }
        if (page.version === version) return items
      }
      throw new MemoriaError({ code: 'conflict', message: `${name}: it kept changing while it was read` })
    },

    watch: (event_id, tell, options = {}) => watch({ supabase, memoria, event_id, tell, ...options }),

    async search({ images, point, ...selfie }) {
      const form = new FormData() // its fields come before its pictures
      form.set('consent', selfie.consent)
      if (selfie.guest) form.set('guest', selfie.guest)
      if (point) form.set('point', `${point.x},${point.y}`)
      for (const image of images) form.append('image', image, 'selfie')
      return askSearch('', 'POST', selfie, form)
    },
    searchAgain: async (search) => askSearch(`/${search.search_id}`, 'GET', search),
    requestRemoval: async (search) => askSearch(`/${search.search_id}/removal`, 'POST', search),
  }
  for (const name of CALLS) {
    memoria[name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())] = async (args) => call(name, args)
  }
  return memoria
}

/** By Realtime, where it lets us in; and by asking: seldom then, since messages may get lost, else often. */
function watch({ supabase, memoria, event_id, tell, everyMs = 2_000, backupMs = 30_000 }) {
  let seen, timer, channel, live = false, ended = false, missed = 0

  const say = (event, news) => ended || tell({ event, ...news })

  async function look() {
    clearTimeout(timer)
    try {
      const now = await memoria.eventStatus({ event_id })
      if (!ended) compare(now)
      missed = 0
    } catch (error) {
      if (missed++) say('error', { error }) // once is a connection that ended just then
    }
    clearTimeout(timer) // another look may have begun meanwhile
    const patience = Math.min(everyMs * 2 ** Math.max(missed - 1, 0), Math.max(everyMs, 30_000))
    const pause = live && !missed ? backupMs : patience
    if (!ended) timer = setTimeout(look, pause)
  }

  function compare({ photos, people, faces, clustered_at, version, done, failures }) {
    const before = seen
    seen = { photos, clustered_at, failed: new Set(failures.map(({ media_id }) => media_id)) }
    for (const failure of before ? failures : []) {
      if (!before.failed.has(failure.media_id)) say('photo_failed', failure)
    }
    if (!before || !same(before.photos, photos)) say('progress', { photos })
    if (clustered_at && clustered_at !== before?.clustered_at) {
      say('people', { people, faces, complete: done, photos, clustered_at, version })
    }
  }

  function hear(event, { id: _, ...news }) {
    if (seen && event === 'photo_failed') seen.failed.add(news.media_id)
    if (seen && news.photos) seen.photos = news.photos
    if (seen && news.clustered_at) seen.clustered_at = news.clustered_at
    say(event, news)
  }

  async function follow() {
    await supabase.realtime?.setAuth?.()
    if (ended) return
    channel = supabase.channel(`memoria:${event_id}`, { config: { private: true } })
    for (const event of ['progress', 'people', 'photo_failed']) {
      channel.on('broadcast', { event }, ({ payload }) => hear(event, payload))
    }
    channel.subscribe((status) => {
      const was = live
      live = status === 'SUBSCRIBED'
      if (live !== was) look() // what was missed meanwhile
    })
  }

  look()
  if (supabase?.channel) follow().catch(() => {}) // asking goes on
  return () => {
    ended = true
    clearTimeout(timer)
    if (channel) supabase.removeChannel(channel)
  }
}

const parsed = (text) => { try { return JSON.parse(text) } catch { return undefined } }
/** UTF-8, as a header can hold it. */
const bytes = (text) => String.fromCharCode(...new TextEncoder().encode(text))
const same = (one, other) => Object.keys(other).every((name) => one[name] === other[name])

/** The square around a face, as fractions of the photo. */
export function faceSquare({ bbox }, { width, height }, margin = 0.4) {
  const side = Math.min(Math.max(bbox.w * width, bbox.h * height) * (1 + 2 * margin), width, height)
  const within = (middle, whole) => Math.min(Math.max(middle * whole - side / 2, 0), whole - side) / whole
  const x = within(bbox.x + bbox.w / 2, width), y = within(bbox.y + bbox.h / 2, height)
  return { x, y, w: side / width, h: side / height }
}

/** Draws a face all over a square canvas, from any rendition of its photo. */
export function drawFace(canvas, photo, face, { margin } = {}) {
  const width = photo.naturalWidth || photo.videoWidth || photo.width
  const height = photo.naturalHeight || photo.videoHeight || photo.height
  const { x, y, w, h } = faceSquare(face, { width, height }, margin)
  const square = [x * width, y * height, w * width, h * height]
  canvas.getContext('2d').drawImage(photo, ...square, 0, 0, canvas.width, canvas.height)
}

/** The same as CSS, for a square element of any size. */
export function faceStyle(face, photoUrl, { margin } = {}) {
  const { x, y, w, h } = faceSquare(face, { width: face.width || 1, height: face.height || 1 }, margin)
  const along = (start, part) => `${part < 1 ? (100 * start) / (1 - part) : 0}%`
  return {
    backgroundImage: `url(${JSON.stringify(String(photoUrl))})`,
    backgroundSize: `${100 / w}% ${100 / h}%`,
    backgroundPosition: `${along(x, w)} ${along(y, h)}`,
    backgroundRepeat: 'no-repeat',
  }
}
