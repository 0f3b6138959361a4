// Which photo comes before and after another: of a person, of several together, or of the event.
import { client } from './session.js'

const PAGE = 500, MOST_PAGES = 20
const orders = new Map() // by what they are an order of: { ids, next, pages }

function page({ event, query }, after) {
  const person_id = query.get('of'), people = query.get('with')?.split(',')
  const asked = { after, limit: PAGE }
  if (person_id) return client.personPhotos({ person_id, ...asked })
  if (people) return client.photosWith({ event_id: event, people, ...asked })
  return client.media({ event_id: event, ...asked })
}

/** { before, after }: ids, or undefined at the ends. Reads as far as it must, once. */
export async function neighbours(route) {
  const name = `${route.event} ${route.query}`, known = orders.get(name)
  const order = known?.ids.includes(route.id) ? known : { ids: [], next: null, pages: 0 }
  orders.set(name, order)
  const at = () => order.ids.indexOf(route.id)
  const found = () => at() >= 0 && at() < order.ids.length - 1
  const ended = () => order.pages && (order.next === null || order.pages === MOST_PAGES)
  while (!found() && !ended()) {
    const { photos, media, next } = await page(route, order.next)
    order.ids.push(...(photos ?? media).map(({ media_id }) => media_id))
    order.next = next
    order.pages += 1
  }
  return at() < 0 ? {} : { before: order.ids[at() - 1], after: order.ids[at() + 1] }
}
