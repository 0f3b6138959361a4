// Photos that show several people at once.
import { back, client, h, heading, photoTile, texts, to } from '../kit.js'
import { grid } from '../grid.js'

const { together: words } = texts

export async function show(root, { event, query, kept }, signal) {
  const people = (query.get('with') ?? '').split(',').filter(Boolean)
  if (!people.length) return root.append(...nobody(event))
  const who = await Promise.all(
    people.map((person_id) => client.personPhotos({ person_id, limit: 1 })))
  const title = words.title(who.map(({ name }) => name ?? texts.somebody))
  root.append(heading(() => back(to('people', event)), title))
  const count = await grid(root, 'photos', {
    label: title, kept, signal,
    read: (after) => client.photosWith({ event_id: event, people, after, limit: 100 }),
    build: (photo, n) => {
      const address = to('photo', event, photo.media_id, { with: people })
      return [photoTile(photo, address, words.photo(n))]
    },
  })
  if (!count) root.append(h('p.empty', words.none))
}

const nobody = (event) => [heading(() => back(to('people', event)), words.whom),
  h('div.empty', h('p', words.nobody), h('a.button', { href: to('people', event) }, words.choose))]
