// Everybody in the event: covers, names, several ticked and merged.
import { element } from '../dom.js'
import { grid } from '../grid.js'
import { faceOf } from '../photos.js'
import { to } from '../router.js'
import { texts } from '../texts.js'

const PAGE = 100

export async function show(root, { client, event, kept }, signal) {
  root.append(element('h1', {}, texts.nav.people))
  const read = async (after) => {
    const { people, next } = await client.people({ event_id: event, after, limit: PAGE })
    return { items: people, next }
  }
  const build = (person) => element('a', { class: 'person', href: to('person', event, person.person_id) },
    faceOf(person.cover, { class: 'round' }),
    element('span', {}, person.name ?? texts.unnamed), element('small', {}, texts.photos(person.face_count)))
  await grid(root, { className: 'people-grid', label: texts.nav.people, read, build, kept, signal,
    key: ({ person_id }) => person_id })
}
