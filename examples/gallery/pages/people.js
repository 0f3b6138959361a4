// Everybody in the event: covers, names, several ticked and merged.
import {
  act, button, client, dialog, faceOf, go, h, inTurn, mergeInto, nameField, personRow, refresh,
  replace, searchField, tell, texts, to, toast,
} from '../kit.js'
import { grid } from '../grid.js'
import { ticks } from '../ticks.js'

const { peoplePage: words } = texts
const ids = (people) => people.map(({ person_id }) => person_id)

export async function show(root, { event, query, kept, manages }, signal) {
  let name = query.get('name') ?? '', hidden = query.has('hidden'), drawn

  const search = searchField(words.search, again, { value: name })
  const everybody = h('input',
    { type: 'checkbox', role: 'switch', checked: hidden, onchange: again })
  const status = h('p.soft', { role: 'status' }), place = h('section')

  const together = (people) => go(to('together', event, undefined, { with: ids(people).join() }))
  const tick = ticks(root, (people) => {
    const several = people.length > 1
    return [
      manages && several && button(words.merge, () => merge(people), 'primary'),
      several && button(words.together, () => together(people)),
      manages && button(words.hide, () => hide(people)),
    ]
  })
  root.prepend(h('div.heading', h('div', h('h1', texts.nav.people), status),
    h('div.tools', search, h('label.switch', everybody, words.hidden), tick.start)))
  root.append(place)

  function build(person) {
    const { person_id, face_count } = person
    const link = h('a.cover', { href: to('person', event, person_id) },
      faceOf(person.cover, 'round'), person.hidden && h('span.mark', words.hiddenMark))
    const box = tick(person_id, person)
    const label = () => {
      link.setAttribute('aria-label', words.open(person.name, face_count, person.hidden))
      box.setAttribute('aria-label', texts.choose(person.name))
    }
    label()
    const called = manages ? nameField(person, label) : h('span.name', person.name ?? texts.unnamed)
    return [link, box, called, h('small', texts.faces(face_count))]
  }

  async function draw() {
    drawn?.abort()
    drawn = new AbortController()
    const over = AbortSignal.any([signal, drawn.signal]), fresh = h('section')
    const asked = { event_id: event, name: name || null, with_hidden: hidden, limit: 100 }
    const count = await grid(fresh, 'people', {
      label: texts.nav.people, build, kept, signal: over,
      read: (after) => client.people({ ...asked, after }),
    })
    const stands = !count && !name && await client.eventStatus({ event_id: event })
    if (over.aborted) return
    if (!count) fresh.append(name ? h('p.empty', words.nobodyCalled(name)) : nobody(event, stands))
    place.replaceChildren(fresh)
  }

  function again() {
    if (signal.aborted) return // the page was left while the timer ran
    name = search.value.trim()
    hidden = everybody.checked
    replace(to('people', event, undefined, { ...(name && { name }), ...(hidden && { hidden: 1 }) }))
    kept.count = 0
    draw().catch((error) => signal.aborted || tell(error, again))
  }

  await draw()
  if (!signal.aborted) follow(event, status, signal)
}

function nobody(event, { done, faces, photos, hidden_people }) {
  const looked = done && photos.completed && !hidden_people
  const why = faces ? words.tooFew : words.noFaces
  return h('div.empty', h('h2', words.empty), h('p', looked ? why : words.emptyText),
    h('a.button.primary', { href: to('upload', event) }, texts.nav.upload))
}

/** How the event stands; where people were found anew, whoever looks decides when to see that. */
function follow(event, status, signal) {
  let since
  const end = client.watch(event, ({ event: news, photos, people, clustered_at }) => {
    if (photos?.pending) status.textContent = words.looking(photos.pending)
    else if (people !== undefined) status.textContent = words.all(people, photos.completed)
    if (news !== 'people') return
    if (since && since !== clustered_at) toast(words.changed, [texts.show, refresh])
    since = clustered_at
  }, { everyMs: 5_000 })
  signal.addEventListener('abort', end)
}

async function merge(people) {
  const first = people.toSorted((a, b) => (b.name !== null) - (a.name !== null)
    || b.face_count - a.face_count)
  const names = new Set(people.map(({ name }) => name).filter(Boolean))
  const into = names.size > 1 ? await whoseName(first.filter(({ name }) => name)) : first[0]
  if (!into) return
  const from = ids(people).filter((id) => id !== into.person_id)
  await act(words.merged(people.length), () => mergeInto(into.person_id, from))
}

const whoseName = (people) => dialog(words.whichName, (close) =>
  h('ul.picker', people.map((person) => h('li', personRow(person, () => close(person))))))

const hide = (people) => act((done) => words.hid(done.length), () => inTurn(
  ids(people).map((person_id) => () => client.hidePerson({ person_id, hidden: true }))))
