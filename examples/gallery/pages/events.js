// The events of who is signed in, and a new one.
import { element, button } from '../dom.js'
import { go, to } from '../router.js'
import { texts } from '../texts.js'

export async function show(root, { client, session, tell, refresh }) {
  const { events: said } = texts
  const events = await session.request('/rest/v1/rpc/my_events', { body: {} })
  const create = async (submitted) => {
    submitted.preventDefault()
    const event_id = crypto.randomUUID()
    try {
      await client.createEvent({ event_id })
      await session.request('/rest/v1/rpc/name_event', { body: { p_event_id: event_id, p_title: name.value.trim() } })
      go(to('upload', event_id))
    } catch (error) {
      tell(error)
    }
  }
  const name = element('input', { required: true, maxlength: 200, pattern: '.*\\S.*' })
  root.append(element('h1', {}, said.title),
    events.length ? element('ul', { class: 'cards' }, events.map(card)) : element('p', {}, said.none),
    element('form', { class: 'line', onsubmit: create },
      element('label', {}, said.name, name), element('button', { class: 'primary' }, said.create)),
    element('p', {}, button(texts.sign.out, async () => { await session.signOut(); refresh() }, { class: 'quiet' })))
}

function card({ event_id, title, status, role, archive_at }) {
  const { events: said } = texts
  const about = [said.roles[role], status === 'archived' ? said.archived : archive_at && said.until(texts.day(archive_at))]
  return element('li', {}, element('a', { href: to('people', event_id) },
    element('strong', {}, title), element('small', {}, about.filter(Boolean).join(' · '))))
}
