// Everybody in the event: covers, names, several ticked and merged.
import { button, dialog, element, toast } from '../dom.js'
import { grid } from '../grid.js'
import { nameField } from '../names.js'
import { faceOf } from '../photos.js'
import { go, replace, to } from '../router.js'
import { texts } from '../texts.js'
import { ticks } from '../ticks.js'

const PAGE = 100
const PAUSE_MS = 250
const { peoplePage } = texts

export async function show(root, app, signal) {
  const { client, event, query, kept, manages } = app
  let name = query.get('name') ?? '', hidden = query.has('hidden'), timer, drawn

  const status = element('p', { class: 'soft', role: 'status' })
  const search = element('input', { type: 'search', value: name, placeholder: peoplePage.search, 'aria-label': peoplePage.search, dir: 'auto',
    oninput: () => { clearTimeout(timer); timer = setTimeout(again, PAUSE_MS) } })
  const withHidden = element('input', { type: 'checkbox', role: 'switch', checked: hidden, onchange: again })
  const place = element('section')
  root.append(
    element('div', { class: 'heading' }, element('div', {}, element('h1', {}, texts.nav.people), status),
      element('div', { class: 'tools' }, search, element('label', { class: 'switch' }, withHidden, peoplePage.hidden))),
    place)
  const ticked = ticks(root, (people) => [
    people.length > 1 && button(peoplePage.merge, () => merge(people, app), { class: 'primary' }),
    people.length > 1 && button(peoplePage.together, () => go(to('together', event, undefined, { with: ids(people).join() }))),
    button(peoplePage.hide, () => hide(people, app)),
  ].filter((action) => action && (manages || action.textContent === peoplePage.together)))

  const card = (person) => {
    const link = element('a', { class: 'cover', href: to('person', event, person.person_id) }, faceOf(person.cover, { class: 'round' }),
      person.hidden && element('span', { class: 'mark' }, peoplePage.hiddenMark))
    const tick = ticked.box(person.person_id, person)
    const label = () => {
      link.setAttribute('aria-label', peoplePage.open(person.name, person.face_count, person.hidden))
      tick.setAttribute('aria-label', texts.choose(person.name))
    }
    label()
    return [link, tick,
      manages ? nameField(person, app, label) : element('span', { class: 'name' }, person.name ?? texts.unnamed),
      element('small', {}, texts.photos(person.face_count))]
  }

  async function draw() {
    drawn?.abort()
    drawn = new AbortController()
    const { signal: over } = drawn
    const read = async (after) => {
      const { people, next } = await client.people({ event_id: event, after, name: name || null, with_hidden: hidden, limit: PAGE })
      return { items: people, next }
    }
    const fresh = element('section')
    const { items } = await grid(fresh, { className: 'people-grid', label: texts.nav.people, read, build: card, kept,
      signal: AbortSignal.any([signal, over]), key: ({ person_id }) => person_id })
    if (over.aborted) return
    if (!items().length && name) fresh.append(element('p', { class: 'empty' }, peoplePage.nobodyCalled(name)))
    else if (!items().length) fresh.append(nobody(event))
    place.replaceChildren(fresh)
  }

  function again() {
    if (signal.aborted) return // the page was left while the timer ran
    name = search.value.trim()
    hidden = withHidden.checked
    replace(to('people', event, undefined, { ...(name && { name }), ...(hidden && { hidden: 1 }) }))
    kept.count = 0
    draw().catch(app.tell)
  }

  await draw()
  if (!signal.aborted) follow(app, status, signal)
}

const ids = (people) => people.map(({ person_id }) => person_id)

const nobody = (event) => element('div', { class: 'empty' }, element('h2', {}, peoplePage.empty), element('p', {}, peoplePage.emptyText),
  element('a', { class: 'button primary', href: to('upload', event) }, peoplePage.add))

/** How the event stands; and where people were found anew, whoever looks decides when to see that. */
function follow({ client, event, refresh }, status, signal) {
  let since
  signal.addEventListener('abort', client.watch(event, (news) => {
    if (news.photos?.pending) status.textContent = peoplePage.looking(news.photos.pending)
    else if (news.people !== undefined) status.textContent = `${texts.people(news.people)} · ${texts.photos(news.photos.total)}`
    if (news.event !== 'people') return
    if (since && since !== news.clustered_at) toast(peoplePage.changed, { label: texts.show, onclick: refresh })
    since = news.clustered_at
  }, { everyMs: 5_000 }))
}

async function merge(people, { act, client, refresh }) {
  const first = people.toSorted((a, b) => (b.name !== null) - (a.name !== null) || b.face_count - a.face_count)
  const named = first.filter(({ name }) => name)
  const into = new Set(named.map(({ name }) => name)).size > 1 ? await whoseName(named) : first[0]
  if (!into) return
  const from = ids(people).filter((id) => id !== into.person_id)
  if (await act(peoplePage.merged(people.length), () => client.mergePeople({ into: into.person_id, from }))) refresh()
}

const whoseName = (people) => dialog(peoplePage.whichName, (close) => element('div', {}, element('ul', { class: 'picker' },
  people.map((person) => element('li', {}, element('button', { type: 'button', class: 'row', onclick: () => close(person) },
    faceOf(person.cover, { class: 'round' }), element('span', {}, person.name), element('small', {}, texts.photos(person.face_count)))))),
element('div', { class: 'sheet-actions' }, button(texts.cancel, () => close(null)))))

async function hide(people, { act, client, refresh }) {
  const all = async () => {
    const answers = await Promise.allSettled(ids(people).map((person_id) => client.hidePerson({ person_id, hidden: true })))
    const done = answers.filter(({ status }) => status === 'fulfilled').map(({ value }) => value)
    if (!done.length) throw answers[0].reason
    return done
  }
  if (await act((done) => peoplePage.hid(done.length), all)) refresh()
}
