// The guests' page: a selfie in, one's own photos out. It knows a token and nothing else.
import { createMemoria, MemoriaError } from '/clients/memoria.js'
import { config } from '/config.js'
import { frames } from './camera.js'
import { boxStyle, button, confirm, fileButton, h, toast } from './dom.js'
import { unshown } from './kinds.js'
import { smaller } from './smaller.js'
import { texts } from './texts.js'

const CONSENT = '1' // the version of texts.guest.consent: search_consent_version of the project
const MOST_PIXELS = 1600 // of a picture's longer side: enough to be recognised by
const TOKEN = 'memoria-token', FOUND = 'memoria-found', GUEST = 'memoria-guest'
const { guest: words } = texts, WHOLE = /^[\w-]{43}$/ // a token that was not cut off
const client = createMemoria({ searchUrl: config.searchUrl, timeoutMs: 60_000 })
let leaving = new AbortController()

/** Hides the token of the link before anything else sees it, begins, and asks if it is good. */
function arrive() {
  const given = location.hash.slice(1)
  if (given) {
    history.replaceState(null, '', location.pathname)
    sessionStorage.clear() // another link: what was found by the one before is of another event
    sessionStorage.setItem(TOKEN, given)
  }
  if (!WHOLE.test(sessionStorage.getItem(TOKEN))) return show(words.title, h('p', words.noLink))
  begin()
  askWhetherGood(sessionStorage.getItem(TOKEN))
}

/** As nobody, without consent: a good link asks for it. By one used up, who was found still is. */
function askWhetherGood(token) {
  const ended = (error) => isOver(error) && sessionStorage.getItem(TOKEN) === token
  client.search({ token, guest: 'none', images: [], consent: '' })
    .catch((error) => ended(error) && (earlier() ? again() : showProblem(error)))
}

/** Who asks: a random id stays with this browser, since the limits of a link count by it. */
function who() {
  localStorage.setItem(GUEST, localStorage.getItem(GUEST) ?? crypto.randomUUID())
  return { token: sessionStorage.getItem(TOKEN), guest: localStorage.getItem(GUEST) }
}

const earlier = () => JSON.parse(sessionStorage.getItem(FOUND))

/** Puts something else on the page; what went on before, the camera too, ends. Answers a signal. */
function show(title, content, ...choices) {
  leaving.abort()
  leaving = new AbortController()
  const heading = h('h1', { tabindex: -1 }, title)
  document.querySelector('#main').replaceChildren(
    h('div.guest', heading, content, h('div.choices', choices)))
  document.title = title
  heading.focus({ preventScroll: true })
  scrollTo(0, 0)
  return leaving.signal
}

function begin() {
  show(words.title, words.consent.map((line) => h('p', line)),
    button(words.camera, camera, 'primary'), files(words.files),
    earlier() && button(words.again, again, 'quiet'))
}

const another = (kind) => button(words.another, begin, kind)

const files = (label) => fileButton(label,
  (chosen) => search(Promise.all(chosen.slice(0, 3).map(readable))), { accept: 'image/*' })

/** Smaller; as it is where the browser cannot read it: the server may. */
const readable = async (file) => await smaller(file, MOST_PIXELS, 0.9) ?? file

async function camera() {
  const hint = h('p.hint', { role: 'status' }, words.waitForCamera)
  const video = h('video', { muted: true, playsinline: true, label: words.mirror })
  const signal = show(words.look, [video, hint], button(texts.cancel, begin))
  try {
    search(await frames(video, words.turns, (turn) => { hint.textContent = turn }, signal))
  } catch {
    if (!signal.aborted) show(words.noCamera, h('p', words.noCameraWhy), files(words.files))
  }
}

const wait = () => show(words.searching, [h('p.soft', words.searchingWhy), h('div.busy')])

/** Waits for pictures, then for the answer. They stay in this tab, to look again with them. */
async function search(pictures, point) {
  const signal = wait(), images = await pictures, anew = () => search(images, point)
  try {
    const found = await client.search({ ...who(), images, point, consent: CONSENT })
    if (signal.aborted) return // another link was opened
    const photos = found.matches.flatMap((match) => match.photos)
    if (photos.length) sessionStorage.setItem(FOUND, JSON.stringify(found.search_id))
    showFound({ photos, complete: found.complete }, anew)
  } catch (error) {
    if (signal.aborted) return
    if (error.code === 'several_faces') showFaces(images, error.faces)
    else showProblem(error, anew)
  }
}

function again() {
  wait()
  client.searchAgain({ ...who(), search_id: earlier() })
    .then((found) => showFound(found, again)).catch((error) => showProblem(error, again))
}

/** Who was found is looked for again by that; whoever was not, anew. */
function showFound({ photos, complete }, anew) {
  const once = [...new Map(photos.map((photo) => [photo.media_id, photo])).values()]
  const why = h('p', complete ? words.nobodyWhy : words.notYet)
  if (!once.length) {
    return show(words.nobody, why, !complete && button(words.lookAnew, anew), another())
  }
  const picture = ({ url, width, height }, n) => {
    const link = { href: url, target: '_blank', rel: 'noreferrer', label: words.open(n + 1) }
    const onerror = ({ target }) => target.replaceWith(unshown(new URL(url).pathname))
    const image = { src: url, alt: '', width, height, loading: 'lazy', onerror }
    return h('li', url ? h('a', link, h('img', image)) : h('p', words.unshown))
  }
  show(words.found(once.length), [!complete && why, h('ul.found', once.map(picture))],
    !complete && button(words.lookAgain, again), another(), button(words.remove, remove, 'quiet'))
}

/** Several faces: the guest taps theirs. */
async function showFaces(images, faces) {
  const picture = h('img', { src: URL.createObjectURL(images[0]), alt: words.yours })
  await picture.decode().catch(() => {}) // nothing moves when it comes
  const boxes = faces.map((box, n) => {
    const mine = () => search(images, { x: box.x + box.w / 2, y: box.y + box.h / 2 })
    return button('', mine, { label: words.face(n + 1, faces.length), style: boxStyle(box) })
  })
  show(words.several, [h('p', words.severalWhy), h('div.pick', picture, boxes)], another())
    .addEventListener('abort', () => URL.revokeObjectURL(picture.src))
}

/** A link that is used up waits until it ends, longer than anything else: it is gone. */
const codeOf = ({ code, retryAfterSeconds }) => (retryAfterSeconds > 3600 ? 'not_found' : code)
const isOver = (error) => ['not_found', 'event_archived'].includes(codeOf(error))
const wordsOf = (error) => words.problems[codeOf(error)] ?? error.words ?? texts.wrong

function showProblem(error, anew) {
  if (!(error instanceof MemoriaError)) console.error(error)
  const { status, retryAfterSeconds = 0 } = error, over = isOver(error)
  const minutes = over ? 0 : Math.ceil(retryAfterSeconds / 60)
  const passes = !over && (status < 400 || status === 409 || status > 422) // with the same pictures
  show(texts.wrong, h('p', { role: 'alert' }, wordsOf(error), minutes > 0 && words.wait(minutes)),
    passes && button(texts.tryAgain, anew, 'primary'), !over && another(passes ? '' : 'primary'))
}

async function remove() {
  if (!await confirm(words.remove, words.removeWhy, words.removeYes)) return
  client.requestRemoval({ ...who(), search_id: earlier() }).then(() => toast(words.removed),
    (error) => toast(wordsOf(error), [texts.tryAgain, remove]))
}

addEventListener('hashchange', () => location.hash && arrive())
arrive()
