// What happened to people, latest first; what users did can be taken back.
import {
  act, back, button, client, faceOf, h, heading, tell, texts, to, user,
} from '../kit.js'

const PAGE = 50
const { history: words } = texts

export async function show(root, { event, query }) {
  const person_id = query.get('person')
  const all = await client.all('people', { event_id: event, with_hidden: true, limit: 500 })
  const people = new Map(all.map((person) => [person.person_id, person]))
  const list = h('ol.history')
  const older = button(words.older, () => read(next).catch(tell), { hidden: true })
  let date, next

  async function read(after) {
    const page = await client.history({ event_id: event, person_id, after, limit: PAGE })
    for (const change of page.changes) {
      const day = texts.longDay(change.created_at)
      if (day !== date) list.append(h('li.day', h('h2', day)))
      date = day
      list.append(row(change, people, event))
    }
    next = page.next
    older.hidden = next === null
  }

  root.append(heading(() => back(to('review', event)),
    person_id ? words.of(people.get(person_id)?.name) : words.title), list, older)
  await read(null)
  if (!list.firstChild) root.append(h('p.empty', words.none))
}

function row(change, people, event) {
  const { change_id, kind, can_undo, undone_by } = change, about = people.get(change.person_id)
  const name = (id) => people.get(id)?.name ?? texts.somebody
  const told = words.kinds[kind]?.({
    who: name(change.person_id), other: name(change.other_person_id),
    name: change.name, before: change.name_before,
    n: change.people.length || change.faces || change.face_ids.length,
  }) ?? words.other
  const whoever = change.by === user().id ? words.byUser : words.byOther
  const takeBack = () => act(texts.undone, () => client.undo({ change_id }))
  return h('li', { class: undone_by ? 'past' : '' }, about && face(about, event),
    h('p', `${change.job_id ? words.byRun : whoever} ${told} `,
      h('small', texts.hour(change.created_at), undone_by && ` · ${words.takenBack}`)),
    can_undo && button(texts.undo, takeBack, { label: words.undoThis(told) }))
}

/** Whom it was about: where nobody has a name yet, faces alone tell people apart. */
const face = ({ person_id, name, cover }, event) => h('a',
  { href: to('person', event, person_id), label: texts.photo.allOf(name) }, faceOf(cover, 'round'))
