// Photos that show several people at once.
import { element, iconButton } from '../dom.js'
import { grid } from '../grid.js'
import { photoTile } from '../photos.js'
import { back, to } from '../router.js'
import { texts } from '../texts.js'

const PAGE = 100

export async function show(root, { client, event, query, kept }, signal) {
  const people = (query.get('with') ?? '').split(',')
  const who = await Promise.all(people.map((person_id) => client.personPhotos({ person_id, limit: 1 })))
  const read = async (after) => {
    const { photos, next } = await client.photosWith({ event_id: event, people, after, limit: PAGE })
    return { items: photos, next }
  }
  const build = (photo) => photoTile(photo, to('photo', event, photo.media_id, { with: people }), texts.photo.title)
  root.append(element('div', { class: 'heading' }, iconButton('back', texts.back, () => back(to('people', event))),
    element('h1', {}, texts.together.title(who.map(({ name }) => name ?? texts.somebody)))))
  const { items } = await grid(root, { className: 'photo-grid', label: texts.together.label, read, build, kept, signal,
    key: ({ media_id }) => media_id })
  if (!items().length) root.append(element('p', { class: 'empty' }, texts.together.none))
}
