// Which photo comes before and after another: of a person, of several people together, or of the event.

const PAGE = 500
const MOST_PAGES = 20
const read = new Map() // what it is an order of -> { ids, next }

function pages({ client, event, query }) {
  const person_id = query.get('of'), people = query.get('with')?.split(',')
  if (person_id) return (after) => client.personPhotos({ person_id, after, limit: PAGE })
  if (people) return (after) => client.photosWith({ event_id: event, people, after, limit: PAGE })
  return (after) => client.media({ event_id: event, after, limit: PAGE })
}

/** { before, after }: ids, or undefined at the ends. Reads as far as it must, once. */
export async function neighbours(app, media_id) {
  const name = `${app.event} ${app.query}`
  const page = pages(app)
  let order = read.get(name)
  const at = () => order.ids.indexOf(media_id)
  if (!order || at() < 0) order = { ids: [], next: null, pages: 0 }
  read.set(name, order)
  while (!order.pages || (order.next !== null && order.pages < MOST_PAGES && (at() < 0 || at() === order.ids.length - 1))) {
    const { photos, media, next } = await page(order.next)
    order.ids.push(...(photos ?? media).map((photo) => photo.media_id))
    order.next = next
    order.pages += 1
  }
  return at() < 0 ? {} : { before: order.ids[at() - 1], after: order.ids[at() + 1] }
}
