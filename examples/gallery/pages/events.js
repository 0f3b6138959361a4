// The events of who is signed in, and a new one.
import {
  act, button, call, client, confirm, field, form, go, h, signOut, texts, to, user,
} from '../kit.js'
import { forgetNames } from '../begun.js'

const { events: words, sign } = texts

export async function show(root) {
  const event_id = crypto.randomUUID() // the same when one presses twice
  const events = await call('my_events')
  const create = async ({ title }) => {
    await client.createEvent({ event_id })
    await call('name_event', { p_event_id: event_id, p_title: title.trim() })
  }
  const name = { name: 'title', dir: 'auto', required: true, maxlength: 200, pattern: '.*\\S.*' }
  const none = user()?.is_anonymous ? words.noneAlone : words.none
  root.append(h('h1', words.title),
    events.length ? h('ul.cards', events.map(card)) : h('p', none),
    form((given) => act(null, () => create(given), { after: () => go(to('upload', event_id)) }),
      field(words.name, name), h('button.primary', words.create)),
    h('p', button(sign.out, leave, 'quiet')))
}

async function leave() {
  if (user()?.is_anonymous && !await confirm(sign.out, sign.outWhy)) return
  const whose = user()?.id
  await signOut()
  forgetNames(whose)
  location.reload() // nothing of this user stays in the tab
}

function card({ event_id, title, status, role, archive_at }) {
  const ends = archive_at && words.until(texts.day(archive_at))
  const about = [words.roles[role], status === 'archived' ? words.archived : ends]
  return h('li', h('a', { href: to('people', event_id) },
    h('strong', title), h('small', about.filter(Boolean).join(' · '))))
}
