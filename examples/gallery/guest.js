// The guests' page: a selfie in, one's own photos out. It knows a token and nothing else.
import { createMemoria, MemoriaError } from '/clients/memoria.js'
import { config } from '/config.js'
import { button, confirm, element, toast } from './dom.js'
import { frames } from './camera.js'
import { smaller } from './smaller.js'
import { texts } from './texts.js'

const CONSENT = '1' // the version of texts.guest.consent: search_consent_version of the project
const MOST_PIXELS = 1600 // of a picture's longer side: enough to be recognised by
const { guest: said } = texts
const client = createMemoria({ searchUrl: config.searchUrl, timeoutMs: 60_000 })
const main = document.querySelector('#main')
let leaving = new AbortController()

/** The token of the link, out of the address bar before anything else can see it. */
function takeToken() {
  const given = location.hash.slice(1)
  if (!given) return sessionStorage.getItem('memoria-token')
  history.replaceState(null, '', location.pathname)
  sessionStorage.clear() // another link: what was found by the one before is of another event
  sessionStorage.setItem('memoria-token', given)
  return given
}

/** A random id that stays with this browser: the limits of a link count by it. */
function guestId() {
  if (!localStorage.getItem('memoria-guest')) localStorage.setItem('memoria-guest', crypto.randomUUID())
  return localStorage.getItem('memoria-guest')
}

let token = takeToken()
addEventListener('hashchange', () => { if (location.hash) { token = takeToken(); begin() } })
const earlier = () => JSON.parse(sessionStorage.getItem('memoria-found') ?? 'null')
const who = () => ({ token, guest: guestId() })

/** Puts something else on the page; whatever went on before, the camera too, ends. */
function show(title, ...content) {
  leaving.abort()
  leaving = new AbortController()
  const heading = element('h1', { tabindex: -1 }, title)
  main.replaceChildren(element('div', { class: 'guest' }, heading, ...content))
  document.title = title
  heading.focus({ preventScroll: true })
  scrollTo(0, 0)
}

function begin() {
  if (!token) return show(said.title, element('p', {}, said.noLink))
  const found = earlier()
  show(said.title,
    said.consent.map((line) => element('p', {}, line)),
    element('div', { class: 'choices' },
      button(said.camera, camera, { class: 'primary' }), files(said.files),
      found && button(said.again, again, { class: 'quiet' })))
}

function files(label) {
  const input = element('input', { type: 'file', accept: 'image/*', multiple: true, class: 'unseen',
    onchange: async () => {
      if (!input.files.length) return
      waiting()
      search(await Promise.all([...input.files].slice(0, 3).map(readable)))
    } })
  return element('label', { class: 'button' }, label, input)
}

/** Smaller; as it is where the browser cannot read it: the server may. */
const readable = async (file) => await smaller(file, MOST_PIXELS, 0.9) ?? file

async function camera() {
  const hint = element('p', { role: 'status', class: 'hint' }, said.waitForCamera)
  const video = element('video', { muted: true, playsinline: true, class: 'mirror', 'aria-label': said.mirror })
  show(said.look, video, hint, element('div', { class: 'choices' }, button(texts.cancel, begin)))
  const { signal } = leaving
  try {
    const images = await frames(video, said.turns, (turn) => { hint.textContent = turn }, signal)
    if (signal.aborted) return
    waiting()
    search(images)
  } catch {
    if (!signal.aborted) show(said.noCamera, element('p', {}, said.noCameraWhy), element('div', { class: 'choices' }, files(said.files)))
  }
}

const waiting = () => show(said.searching, element('p', { class: 'soft' }, said.searchingWhy), element('div', { class: 'busy' }))

async function search(images, point) {
  try {
    const found = await client.search({ ...who(), images, point, consent: CONSENT })
    sessionStorage.setItem('memoria-found', JSON.stringify(found.search_id))
    showFound(found.matches.flatMap(({ photos }) => photos), found.complete)
  } catch (error) {
    if (error.code === 'several_faces') showFaces(images, error.faces)
    else showProblem(error)
  }
}

async function again() {
  waiting()
  try {
    const { photos, complete } = await client.searchAgain({ ...who(), search_id: earlier() })
    showFound(photos, complete)
  } catch (error) {
    showProblem(error)
  }
}

function showFound(photos, complete) {
  const once = [...new Map(photos.map((photo) => [photo.media_id, photo])).values()]
  const more = element('div', { class: 'choices' },
    !complete && button(said.lookAgain, again),
    button(said.another, begin), once.length > 0 && button(said.remove, remove, { class: 'quiet' }))
  if (!once.length) {
    return show(said.nobody, element('p', {}, complete ? said.nobodyWhy : said.notYet), more)
  }
  show(said.found(once.length), !complete && element('p', {}, said.notYet),
    element('ul', { class: 'found' }, once.map(({ url, width, height }, n) => element('li', {},
      url ? element('a', { href: url, target: '_blank', rel: 'noreferrer', 'aria-label': said.open(n + 1) },
        element('img', { src: url, alt: '', width, height, loading: 'lazy', referrerpolicy: 'no-referrer' }))
        : element('p', {}, said.unshown)))),
    more)
}

/** Several faces: the guest taps theirs. */
function showFaces(images, faces) {
  const address = URL.createObjectURL(images[0])
  const boxes = faces.map((box, n) => {
    const tap = button('', () => {
      waiting()
      search(images, { x: box.x + box.w / 2, y: box.y + box.h / 2 })
    }, { 'aria-label': said.face(n + 1, faces.length) })
    const percent = (part) => `${part * 100}%`
    Object.assign(tap.style, { left: percent(box.x), top: percent(box.y), width: percent(box.w), height: percent(box.h) })
    return tap
  })
  show(said.several, element('p', {}, said.severalWhy),
    element('div', { class: 'pick' }, element('img', { src: address, alt: said.yours }), boxes),
    element('div', { class: 'choices' }, button(said.another, begin)))
  leaving.signal.addEventListener('abort', () => URL.revokeObjectURL(address))
}

function showProblem(error) {
  if (!(error instanceof MemoriaError)) console.error(error)
  const minutes = Math.ceil((error.retryAfterSeconds ?? 0) / 60)
  const why = said.problems[error.code] ?? error.words ?? texts.wrong
  const over = ['not_found', 'unauthorized', 'event_archived'].includes(error.code)
  show(said.problem, element('p', { role: 'alert' }, why, ' ', minutes > 0 && said.wait(minutes)),
    element('div', { class: 'choices' }, !over && button(said.another, begin, { class: 'primary' })))
}

async function remove() {
  if (!await confirm(said.remove, said.removeWhy, said.removeYes)) return
  try {
    await client.requestRemoval({ ...who(), search_id: earlier() })
    toast(said.removed)
  } catch (error) {
    showProblem(error)
  }
}

begin()
