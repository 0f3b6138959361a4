// One person: photos, cover, name, and all that can be wrong about them.
import {
  act, back, button, choosePerson, client, confirm, faceOf, go, h, iconButton, mergeInto,
  nameField, photoTile, replace, texts, to,
} from '../kit.js'
import { downloadButton } from '../download.js'
import { grid } from '../grid.js'
import { ticks } from '../ticks.js'

const PAGE = 60
const { person: words } = texts

export async function show(root, { event, id, kept, manages }, signal) {
  const [person, questions] = await Promise.all([
    client.personPhotos({ person_id: id, limit: PAGE }), manages ? questionsAbout(id, event) : 0])
  const { person_id } = person // the name may change meanwhile
  if (person.is_now && !signal.aborted) replace(to('person', event, person_id))
  const tick = ticks(root, (photos) => manages ? [
    photos.length === 1 && button(words.cover, () => cover(person_id, photos)),
    button(words.split, () => split(person_id, photos, event)),
    button(words.reject(person.name), () => reject(person, photos)),
  ] : [])
  root.prepend(about(person, event, manages && tick.start, questions))

  const build = (photo, n) => {
    const { media_id } = photo
    const address = to('photo', event, media_id, { of: person_id })
    return [photoTile(photo, address, words.photo(n, person.name)),
      manages && tick(media_id, photo, words.choosePhoto(n))]
  }
  const count = await grid(root, 'photos', {
    label: words.photosOf(person.name), build, kept, signal,
    read: (after) => after ? client.personPhotos({ person_id, after, limit: PAGE }) : person,
  })
  if (!count) root.append(h('p.empty', words.none))
}

const questionsAbout = (person_id, event) =>
  client.suggestions({ event_id: event, person_id, limit: 1 }).then(({ total }) => total, () => 0)

function about(person, event, start, questions) {
  const { person_id, name, face_count, hidden } = person
  const link = (page, label) =>
    h('a.button', { href: to(page, event, undefined, { person: person_id }) }, label)
  const title = h('h1.unseen', name ?? texts.unnamed)
  const named = () => { title.textContent = person.name ?? texts.unnamed }
  const hide = () => act(hidden ? words.shown : words.hid,
    () => client.hidePerson({ person_id, hidden: !hidden }))
  return h('div.person-heading',
    iconButton('back', texts.back, () => back(to('people', event))), faceOf(person.cover, 'round'),
    h('div', title, start ? nameField(person, named) : h('p.name', name ?? texts.unnamed),
      h('p.soft', texts.faces(face_count))),
    h('div.actions', questions > 0 && link('review', words.questions(questions)),
      downloadButton(person),
      start && [
        start,
        button(hidden ? words.showAgain : words.hide, hide),
        button(words.mergeWith, () => merge(person, event)),
        link('history', words.history),
        button(words.forget, () => forget(person, event), 'danger')]))
}

const faces = (photos) => photos.flatMap((photo) => photo.faces.map(({ face_id }) => face_id))

const cover = (person_id, photos) =>
  act(words.covered, () => client.setCover({ person_id, face_id: faces(photos)[0] }))

const split = (person_id, photos, event) => act(words.wasSplit(photos.length),
  () => client.splitPerson({ person_id, face_ids: faces(photos) }),
  { more: (made) => [[texts.show, () => go(to('person', event, made.person_id))]] })

const reject = ({ person_id, name }, photos) => act(words.rejected(photos.length, name),
  () => client.rejectFaces({ person_id, face_ids: faces(photos) }))

async function merge({ person_id, name }, event) {
  const chosen = await choosePerson(words.mergeTitle(name), event, { without: person_id })
  if (!chosen) return
  const other = chosen.person, stays = name || !other.name // who has a name keeps it
  const [into, from] = stays ? [person_id, other.person_id] : [other.person_id, person_id]
  await act(words.merged, () => mergeInto(into, [from]))
}

async function forget({ person_id, name, face_count }, event) {
  const sure = await confirm(words.forgetTitle(name), words.forgetText(face_count), words.forgetYes)
  const after = () => go(to('people', event))
  if (sure) await act(words.forgotten, () => client.forgetPerson({ person_id }), { after })
}
