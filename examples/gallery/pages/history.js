// What happened to people, latest first; what users did can be taken back.
import { button, element, iconButton } from '../dom.js'
import { back, to } from '../router.js'
import { user } from '../session.js'
import { texts } from '../texts.js'

const PAGE = 50
const { history: words } = texts
const day = new Intl.DateTimeFormat('en', { dateStyle: 'full' })
const hour = new Intl.DateTimeFormat('en', { timeStyle: 'short' })

export async function show(root, app) {
  const { client, event, query } = app
  const person_id = query.get('person')
  const everybody = await client.all('people', { event_id: event, with_hidden: true, limit: 500 })
  const names = new Map(everybody.map((person) => [person.person_id, person.name]))
  const list = element('ol', { class: 'history' })
  let date

  async function read(after) {
    const { changes, next } = await client.history({ event_id: event, person_id, after, limit: PAGE })
    for (const change of changes) {
      const made = new Date(change.created_at)
      if (day.format(made) !== date) list.append(element('li', { class: 'day' }, element('h2', {}, date = day.format(made))))
      list.append(row(change, made, names, app))
    }
    older.hidden = next === null
    older.onclick = () => read(next).catch(app.tell)
  }

  const older = button(words.older, () => {}, { hidden: true })
  const title = person_id ? words.of(names.get(person_id)) : words.title
  root.append(element('div', { class: 'heading' }, iconButton('back', texts.back, () => back(to('review', event))), element('h1', {}, title)), list, older)
  await read(null)
  if (!list.firstChild) root.append(element('p', { class: 'empty' }, words.none))
}

function row(change, made, names, { act, client, refresh }) {
  const { change_id, kind, can_undo, undone_by } = change
  const name = (id) => names.get(id) ?? texts.somebody
  const told = words.kinds[kind]?.({
    who: name(change.person_id), other: name(change.other_person_id), name: change.name, before: change.name_before,
    n: change.people.length || change.faces || change.face_ids.length,
  }) ?? words.other
  const by = change.job_id ? words.byRun : change.by === user().id ? words.byUser : words.byOther
  const takeBack = async () => await act(texts.undone, () => client.undo({ change_id })) && refresh()
  return element('li', { class: undone_by ? 'past' : '' },
    element('p', {}, `${by} ${told}`, ' ', element('small', {}, hour.format(made), undone_by && ` · ${words.takenBack}`)),
    can_undo && button(texts.undo, takeBack, { 'aria-label': words.undoThis(told) }))
}
