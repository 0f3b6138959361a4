// The hosts' app: who is signed in, which page, and what every page is given.
import { MemoriaError } from '/clients/memoria.js'
import {
  button, call, field, follow, form, h, here, hush, icon, refresh, signIn, signUp, texts, to,
  toast, user, USER_CHANGED,
} from './kit.js'

const NAVIGATION = ['people', 'review', 'upload', 'settings']
const PAGES = [...NAVIGATION, 'events', 'together', 'person', 'photo', 'history']
const main = document.querySelector('#main')
let events = [], whose, before = here()

/** What my_events tells of an event: title, role …; undefined of one that is not the user's. */
async function ownEvent(event) {
  const asking = user()?.id, find = () => events.find(({ event_id }) => event_id === event)
  if (whose !== asking || !find()) events = await call('my_events')
  whose = asking
  return find()
}

async function show(route, signal, again) {
  if (!before.sameEvent()) hush(!before.sameUser())
  before = here()
  document.body.setAttribute('aria-busy', 'true')
  const root = h('div', { class: `page ${route.page}` })
  await build(root, route, signal).catch((error) => showError(root, route, error))
  if (signal.aborted) return
  document.body.removeAttribute('aria-busy')
  showTop(route)
  const had = main.contains(document.activeElement)
  main.replaceChildren(root)
  const title = root.querySelector('h1')
  document.title = `${title.textContent} · ${texts.app}`
  title.tabIndex = -1
  const elsewhere = !root.contains(document.activeElement)
  if ((!again || had) && elsewhere) title.focus({ preventScroll: true })
}

/** A page gets { page, event, id, query, kept, own: the event, manages }. */
async function build(root, route, signal) {
  const { page, event } = route
  if (event) route.own = await ownEvent(event)
  const there = PAGES.includes(page) && (route.own || page === 'events')
  if (!there) throw new MemoriaError({ code: 'not_found' })
  route.manages = ['host', 'cohost'].includes(route.own?.role)
  const made = await import(`./pages/${page}.js`)
  await made.show(root, route, signal)
}

function showError(root, route, error) {
  if (!(error instanceof MemoriaError)) console.error(error)
  const { title, text, home } = texts.notFound, lost = error.code === 'not_found'
  if (!user() || (lost && !route.own)) delete route.event
  if (!user()) showSignIn(root)
  else if (lost) {
    root.replaceChildren(h('h1', title), h('p', text), h('a', { href: to('events') }, home))
  } else {
    root.replaceChildren(h('h1', texts.wrong), h('p', error.words ?? error.message),
      // a browser never asks again for a module that once did not come
      button(texts.tryAgain, error.words ? refresh : () => location.reload(), 'primary'))
  }
}

function showTop({ page, event, own, manages }) {
  const parents = { person: 'people', together: 'people', photo: 'people', history: 'review' }
  const current = parents[page] ?? page
  const link = (name) => h('a',
    { href: to(name, event), 'aria-current': name === current && 'page' },
    icon(name), h('span', texts.nav[name]))
  const names = NAVIGATION.filter((name) => manages || name !== 'review')
  document.querySelector('#top').replaceChildren(
    h('a.brand', { href: to('events'), label: `${texts.app}: ${texts.nav.events}` }, texts.app),
    ...(event ? [h('span.event-name', own?.title ?? event),
      h('nav', { label: texts.nav.label }, names.map(link))] : []))
}

function showSignIn(root) {
  const { sign } = texts, said = h('p.problem', { role: 'alert' })
  const enter = async (how, given) => {
    try {
      await how(given)
    } catch (error) {
      said.textContent = sign.problems[error.code] ?? error.words
    }
  }
  const given = () => Object.fromEntries(new FormData(asked))
  const asked = form((filled) => enter(signIn, filled),
    field(sign.email, { name: 'email', type: 'email', autocomplete: 'username', required: true }),
    field(sign.password,
      { name: 'password', type: 'password', autocomplete: 'current-password', required: true }),
    said, h('button.primary', sign.in),
    button(sign.up, () => asked.reportValidity() && enter(signUp, given())),
    button(sign.anonymous, () => enter(signUp, {}), 'quiet'))
  root.className = 'page sign-in'
  root.replaceChildren(h('h1', sign.title), h('p', sign.text), asked)
}

function connected() {
  const bar = document.querySelector('#offline')
  if (!bar.hidden && navigator.onLine) toast(texts.online)
  bar.hidden = navigator.onLine
  bar.textContent = navigator.onLine ? '' : texts.offline
}

document.body.prepend(button(texts.skip, () => main.querySelector('h1')?.focus(), 'skip'))
addEventListener('online', connected)
addEventListener('offline', connected)
addEventListener(USER_CHANGED, refresh) // to the sign-in, once: what is typed there stays
connected()
follow(show)
for (const page of PAGES) import(`./pages/${page}.js`).catch(() => {}) // there when offline
