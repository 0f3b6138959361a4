// The events of who is signed in, and a new one.
import { button, confirm, element } from '../dom.js'
import { go, to } from '../router.js'
import { texts } from '../texts.js'

export async function show(root, { client, session, tell }) {
  const { events: said, sign } = texts
  const event_id = crypto.randomUUID() // the same when one presses twice
  const events = await session.request('/rest/v1/rpc/my_events', { body: {} })
  const create = async (submitted) => {
    submitted.preventDefault()
    try {
      await client.createEvent({ event_id })
      await session.request('/rest/v1/rpc/name_event', { body: { p_event_id: event_id, p_title: name.value.trim() } })
      go(to('upload', event_id))
    } catch (error) {
      tell(error)
    }
  }
  const signOut = async () => {
    if (session.user()?.is_anonymous && !await confirm(sign.out, sign.outWhy, sign.out)) return
    await session.signOut()
    location.reload() // nothing of this user stays in the tab
  }
  const name = element('input', { dir: 'auto', required: true, maxlength: 200, pattern: '.*\\S.*' })
  root.append(element('h1', {}, said.title),
    events.length ? element('ul', { class: 'cards' }, events.map(card)) : element('p', {}, said.none),
    element('form', { class: 'line', onsubmit: create },
      element('label', {}, said.name, name), element('button', { class: 'primary' }, said.create)),
    element('p', {}, button(sign.out, signOut, { class: 'quiet' })))
}

function card({ event_id, title, status, role, archive_at }) {
  const { events: said } = texts
  const about = [said.roles[role], status === 'archived' ? said.archived : archive_at && said.until(texts.day(archive_at))]
  return element('li', {}, element('a', { href: to('people', event_id) },
    element('strong', {}, title), element('small', {}, about.filter(Boolean).join(' · '))))
}
