// The hosts' app: who is signed in, which page, and what every page is given.
import { createMemoria, MemoriaError } from '/clients/memoria.js'
import { config } from '/config.js'
import { announce, button, element, icon, toast } from './dom.js'
import { follow, to } from './router.js'
import * as session from './session.js'
import { texts } from './texts.js'

const PAGES = ['events', 'people', 'together', 'person', 'photo', 'review', 'history', 'upload', 'settings']
const NAVIGATION = ['people', 'review', 'upload', 'settings']
const main = document.querySelector('#main')
const client = createMemoria({ url: config.supabaseUrl, key: config.publishableKey, accessToken: session.token })
let events = [], whose

/** What my_events tells of an event: title, role …; null of one that is not the user's. */
async function ownEvent(event) {
  const find = () => events.find(({ event_id }) => event_id === event)
  const asking = session.user().id
  if (whose !== asking || !find()) events = await session.request('/rest/v1/rpc/my_events', { body: {} })
  whose = asking
  return find() ?? null
}

/**
 * Makes a change, says so, and offers to take it back. `call` answers what the client answered, or a list of that;
 * `said` may be a function of it, `more` answers further actions. Answers null where it did not work.
 */
async function act(said, call, { undone = refresh, more = () => [] } = {}) {
  try {
    const answer = await call()
    const changes = [answer].flat().map(({ change_id }) => change_id).filter(Boolean)
    const undo = { label: texts.undo, onclick: () => takeBack(changes, undone) }
    toast(typeof said === 'function' ? said(answer) : said, ...(changes.length ? [undo] : []), ...more(answer))
    return answer
  } catch (error) {
    tell(error)
    return null
  }
}

async function takeBack(changes, undone) {
  let done = 0, failed
  const undo = (change_id) => client.undo({ change_id }).then(() => { done += 1 }, (error) => { failed = error })
  for (const change_id of changes.toReversed()) await undo(change_id)
  if (failed) tell(failed)
  else toast(texts.undone)
  if (done) await undone()
}

function tell(error) {
  if (!(error instanceof MemoriaError)) throw error
  if (!session.user()) refresh() // it ended meanwhile: to the sign-in
  toast(error.words)
}

async function show(route, kept, signal, again) {
  document.body.setAttribute('aria-busy', 'true')
  const root = element('div', { class: `page ${route.page}` })
  let own, manages
  try {
    if (!session.user()) await showSignIn(root)
    else if (!PAGES.includes(route.page)) showNothing(root)
    else {
      own = route.event && await ownEvent(route.event)
      if (own === null) throw new MemoriaError({ code: 'not_found', message: 'no member' })
      const role = own?.role
      manages = role === 'host' || role === 'cohost'
      const page = await import(`./pages/${route.page}.js`)
      await page.show(root, { client, session, own, role, manages, act, tell, refresh, kept, ...route }, signal)
    }
  } catch (error) {
    if (session.user()) showError(root, error)
    else await showSignIn(root)
  }
  if (signal.aborted) return
  document.body.removeAttribute('aria-busy')
  showTop(session.user() && own !== null ? route : {}, own?.title, manages)
  const had = main.contains(document.activeElement)
  main.replaceChildren(root)
  const heading = root.querySelector('h1')
  document.title = `${heading.textContent} · ${texts.app}`
  heading.tabIndex = -1
  if ((!again || had) && !root.contains(document.activeElement)) heading.focus({ preventScroll: true })
}

function showTop({ page, event }, title, manages) {
  const current = { person: 'people', together: 'people', photo: 'people', history: 'review' }[page] ?? page
  const link = (name) => element('a', { href: to(name, event), 'aria-current': name === current && 'page' },
    icon(name), element('span', {}, texts.nav[name]))
  document.querySelector('#top').replaceChildren(
    element('a', { href: to('events'), class: 'brand', 'aria-label': `${texts.app}: ${texts.nav.events}` }, texts.app),
    event ? element('span', { class: 'event-name' }, title ?? event) : '',
    event ? element('nav', { 'aria-label': texts.nav.label }, NAVIGATION.filter((name) => manages || name !== 'review').map(link)) : '')
}

function showNothing(root) {
  const { title, text, home } = texts.notFound
  root.append(element('h1', {}, title), element('p', {}, text), element('a', { href: to('events') }, home))
}

function showError(root, error) {
  if (!(error instanceof MemoriaError)) console.error(error)
  if (error.code === 'not_found') return root.replaceChildren() ?? showNothing(root)
  root.replaceChildren(element('h1', {}, texts.wrong), element('p', {}, error.words ?? error.message),
    button(texts.tryAgain, refresh, { class: 'primary' }))
}

async function showSignIn(root) {
  const { sign } = texts
  const said = element('p', { role: 'alert', class: 'problem' })
  const enter = (how) => async (event) => {
    event.preventDefault()
    const { email, password } = Object.fromEntries(new FormData(form))
    try {
      await how(email, password)
      await refresh()
    } catch (error) {
      said.textContent = sign.problems[error.code] ?? (error.status === 400 ? sign.refused : error.words)
    }
  }
  const field = (label, attributes) => element('label', {}, label, element('input', { required: true, ...attributes }))
  const form = element('form', { onsubmit: enter(session.signIn) },
    field(sign.email, { name: 'email', type: 'email', autocomplete: 'username' }),
    field(sign.password, { name: 'password', type: 'password', autocomplete: 'current-password' }),
    said,
    element('button', { class: 'primary' }, sign.in),
    button(sign.up, (event) => form.reportValidity() && enter(session.signUp)(event)),
    button(sign.anonymous, enter(session.signInAnonymously), { class: 'quiet' }))
  root.className = 'page sign-in'
  root.replaceChildren(element('h1', {}, sign.title), element('p', {}, sign.text), form)
}

function connected() {
  const bar = document.querySelector('#offline')
  if (!bar.hidden && navigator.onLine) announce(texts.online)
  bar.hidden = navigator.onLine
  bar.textContent = navigator.onLine ? '' : texts.offline
}

const skip = document.querySelector('#skip')
skip.textContent = texts.skip
skip.hidden = false
skip.addEventListener('click', () => main.querySelector('h1')?.focus())
addEventListener('online', connected)
addEventListener('offline', connected)
connected()
const refresh = follow(show)
refresh()
