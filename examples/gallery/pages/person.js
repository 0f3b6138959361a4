// One person: photos, cover, name, and all that can be wrong about them.
import { addressOf, faceOf, photoTile } from '../photos.js'
import { button, confirm, element, iconButton, toast } from '../dom.js'
import { grid } from '../grid.js'
import { choosePerson, nameField } from '../names.js'
import { back, go, replace, to } from '../router.js'
import { texts } from '../texts.js'
import { ticks } from '../ticks.js'
import { Zip } from '../zip.js'

const PAGE = 60
const MOST_BYTES = 500_000_000 // in one file
const { person: words } = texts

export async function show(root, app, signal) {
  const { client, event, id, kept, manages } = app
  const first = await client.personPhotos({ person_id: id, limit: PAGE })
  const person = first
  if (person.is_now && !signal.aborted) replace(to('person', event, person.person_id)) // it was merged away
  const { person_id } = person
  root.append(heading(person, app, signal))

  const ticked = ticks(root, (photos) => !manages ? [] : [
    photos.length === 1 && button(words.cover, () => cover(photos)),
    button(words.split, () => split(photos)),
    button(words.reject(person.name), () => reject(photos)),
  ].filter(Boolean))

  let number = 0
  const numbers = new Map()
  const numberOf = ({ media_id }) => numbers.get(media_id) ?? numbers.set(media_id, ++number).get(media_id)
  const build = (photo) => [
    photoTile(photo, to('photo', event, photo.media_id, { of: person_id }), words.photo(numberOf(photo), person.name)),
    manages && ticked.box(photo.media_id, photo, words.choosePhoto(numberOf(photo)))].filter(Boolean)
  const read = async (after) => {
    const { photos, next } = after === null ? first : await client.personPhotos({ person_id, after, limit: PAGE })
    return { items: photos, next }
  }
  const shown = await grid(root, { className: 'photo-grid', label: words.photosOf(person.name), read, build, kept, signal,
    key: ({ media_id }) => media_id })
  if (!shown.items().length) root.append(element('p', { class: 'empty' }, words.none))

  const faces = (photos) => photos.flatMap((photo) => photo.faces.map(({ face_id }) => face_id))
  const cover = async ([photo]) => await app.act(words.covered, () => client.setCover({ person_id, face_id: photo.faces[0].face_id })) && app.refresh()
  async function split(photos) {
    const more = (made) => [{ label: texts.show, onclick: () => go(to('person', event, made.person_id)) }]
    if (await app.act(words.wasSplit(photos.length), () => client.splitPerson({ person_id, face_ids: faces(photos) }), { more })) app.refresh()
  }
  async function reject(photos) {
    const call = () => client.rejectFaces({ person_id, face_ids: faces(photos) })
    if (await app.act(words.rejected(photos.length, person.name), call)) app.refresh()
  }
}

function heading(person, app, signal) {
  const { client, event, manages } = app
  const { person_id } = person
  const questions = element('a', { class: 'button', href: to('review', event, undefined, { person: person_id }), hidden: true })
  const title = element('h1', { class: 'unseen' }, person.name ?? texts.unnamed)
  const named = ({ name }) => { title.textContent = name ?? texts.unnamed }
  const download = button(words.download, () => downloadAll(person, app, download, signal))
  const actions = [
    questions, download,
    manages && button(person.hidden ? words.showAgain : words.hide, () => hide(person, app)),
    manages && button(words.mergeWith, () => merge(person, app)),
    manages && element('a', { class: 'button', href: to('history', event, undefined, { person: person_id }) }, words.history),
    manages && button(words.forget, () => forget(person, app), { class: 'danger' }),
  ]
  if (manages) askedAbout(person_id, app, questions)
  return element('div', { class: 'person-heading' },
    iconButton('back', texts.back, () => back(to('people', event))),
    faceOf(person.cover, { class: 'round' }),
    element('div', {}, title,
      manages ? nameField(person, app, named) : element('p', { class: 'name' }, person.name ?? texts.unnamed),
      element('p', { class: 'soft' }, texts.photos(person.face_count))),
    element('div', { class: 'actions' }, actions))
}

async function askedAbout(person_id, { client, event }, link) {
  const { total } = await client.suggestions({ event_id: event, person_id, limit: 1 }).catch(() => ({ total: 0 }))
  link.textContent = words.questions(total)
  link.hidden = !total
}

async function hide({ person_id, hidden }, { act, client, refresh }) {
  if (await act(hidden ? words.shown : words.hid, () => client.hidePerson({ person_id, hidden: !hidden }))) refresh()
}

async function merge({ person_id, name }, { act, client, event, refresh }) {
  const chosen = await choosePerson(words.mergeTitle(name), { client, event, without: person_id })
  if (!chosen) return
  const named = name || !chosen.person.name // who has a name keeps it
  const [into, from] = named ? [person_id, chosen.person.person_id] : [chosen.person.person_id, person_id]
  if (await act(words.merged, () => client.mergePeople({ into, from: [from] }))) refresh()
}

async function forget({ person_id, name, face_count }, { act, client, event }) {
  if (!await confirm(words.forgetTitle(name), words.forgetText(face_count), words.forgetYes)) return
  if (await act(words.forgotten, () => client.forgetPerson({ person_id }))) go(to('people', event))
}

/** The originals, as one ZIP, or several where they are very many. */
async function downloadAll({ person_id, name }, { client, tell }, said, signal) {
  said.disabled = true
  try {
    const photos = await client.all('personPhotos', { person_id, limit: 500 })
    for (const photo of photos) addressOf(photo, true).catch(() => {}) // asked for together
    let zip = new Zip(), missing = 0
    for (const [n, photo] of photos.entries()) {
      said.textContent = words.downloading(n + 1, photos.length)
      const bytes = await fetchBytes(photo, signal)
      if (signal.aborted) return
      if (bytes) zip.add(photo.path.split('/').at(-1), bytes)
      else missing += 1
      if (zip.size > MOST_BYTES) zip = save(zip, name) ?? new Zip()
    }
    if (zip.size) save(zip, name)
    toast(missing ? words.missing(missing) : words.downloaded(photos.length))
  } catch (error) {
    tell(error)
  } finally {
    said.disabled = false
    said.textContent = words.download
  }
}

async function fetchBytes(photo, signal) {
  try {
    const answer = await fetch(await addressOf(photo, true), { signal })
    return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : null
  } catch {
    return null
  }
}

function save(zip, name) {
  const address = URL.createObjectURL(zip.blob())
  element('a', { href: address, download: `${name ?? texts.app}.zip` }).click()
  setTimeout(() => URL.revokeObjectURL(address), 60_000)
}
