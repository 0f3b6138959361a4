// The events of who is signed in.
import { element } from '../dom.js'
import { to } from '../router.js'
import { request } from '../session.js'
import { texts } from '../texts.js'

export async function show(root) {
  const events = await request('/rest/v1/rpc/my_events', { body: {} })
  root.append(element('h1', {}, texts.nav.events), element('ul', {}, events.map(({ event_id }) =>
    element('li', {}, element('a', { href: to('people', event_id) }, event_id)))))
}
