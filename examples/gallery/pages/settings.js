// An event: its name, who may see it, links for guests, what they searched, how long it is kept.
import { button, confirm, dialog, element, toast } from '../dom.js'
import { qrPicture } from '../qr.js'
import { go, to } from '../router.js'
import { texts } from '../texts.js'
import { BUCKET } from '../uploads.js'

const { settings: said } = texts
const KEEP_DAYS = [7, 30, 90, 365], LINK_DAYS = [1, 7, 30, 90]

export async function show(root, given) {
  const { client, session, event, manages, tell, refresh } = given
  root.append(element('h1', {}, said.title))
  if (!manages) return showLeave(root, given)
  const [members, links, { searches }, status] = await Promise.all([
    session.request('/rest/v1/rpc/event_members', { body: { p_event_id: event } }), client.searchLinks({ event_id: event }),
    client.searches({ event_id: event }), client.eventStatus({ event_id: event }),
  ])
  /** Does something, says so, and shows the page as it is then. */
  const done = (what, words) => async (happened) => {
    happened?.preventDefault()
    try {
      if (await what() === false) return
      await refresh()
      if (words) toast(words)
    } catch (error) {
      tell(error)
    }
  }
  const sections = { name, members: memberList, links: linkList, searches: audit, keeping }
  const all = { ...given, members, links: links.links, searches, status, done }
  root.append(...Object.values(sections).map((section) => element('section', {}, section(all))))
}

function showLeave(root, { client, session, event, tell }) {
  const leave = async () => {
    if (!await confirm(said.leave, said.leaveWhy, said.leave)) return
    client.removeMember({ event_id: event, user_id: session.user().id }).then(() => go(to('events')), tell)
  }
  root.append(element('p', {}, said.onlyHosts), button(said.leave, leave))
}

function name({ session, event, own, done }) {
  const input = element('input', { value: own.title, required: true, maxlength: 200 })
  const save = async () => {
    const title = input.value.trim()
    await session.request('/rest/v1/rpc/name_event', { body: { p_event_id: event, p_title: title } })
    own.title = title
  }
  return [element('h2', {}, said.name), element('form', { class: 'line', onsubmit: done(save, said.saved) },
    element('label', {}, said.name, input), element('button', {}, said.save))]
}

const select = (label, options, attributes = {}) => element('label', {}, label, element('select', attributes,
  options.map(([value, words, selected]) => element('option', { value, selected }, words))))

function memberList({ client, session, event, members, status, done }) {
  const email = element('input', { type: 'email', required: true, autocomplete: 'off' })
  const role = select(said.role, Object.entries(said.roles))
  const add = async () => {
    const about = { p_event_id: event, p_email: email.value, p_role: role.lastChild.value }
    await session.request('/rest/v1/rpc/invite', { body: about }).catch((error) => {
      if (error.code === 'not_found') error.words = said.unknown
      throw error
    })
    toast(said.added(email.value))
  }
  const row = (one) => {
    const called = one.email || one.user_id
    const remove = () => client.removeMember({ event_id: event, user_id: one.user_id })
    return element('li', {}, element('span', {}, called),
      element('small', {}, one.is_owner ? said.owner : said.roles[one.role]),
      !one.is_owner && button(texts.remove, done(remove, said.removed(called)), { 'aria-label': said.remove(called) }))
  }
  const known = !session.user().is_anonymous
  return [element('h2', {}, said.people), element('ul', { class: 'rows' }, members.map(row)),
    !known && element('p', {}, said.addWithAccount),
    known && status && element('form', { class: 'line', onsubmit: done(add) },
      element('label', {}, said.email, email), role, element('button', {}, said.add))]
}

function linkList({ client, event, links, status, done }) {
  const label = element('input', { maxlength: 200, required: true })
  const days = select(said.days, LINK_DAYS.map((n) => [n, said.forDays(n), n === 7]))
  const make = async () => {
    const options = { label: label.value.trim(), expires_in_hours: 24 * days.lastChild.value }
    const { token } = await client.createSearchLink({ event_id: event, options })
    await showLink(options.label, token)
  }
  const end = (one) => async () => {
    if (!await confirm(said.revoke, said.revokeWhy, said.revoke)) return false
    return client.revokeSearchLink({ link_id: one.link_id })
  }
  const row = (one) => {
    const called = one.label ?? said.noLabel, over = one.revoked_at || new Date(one.expires_at) < new Date()
    return element('li', {}, element('span', {}, called),
      element('small', {}, said.used(one.searches, one.max_searches), ' · ', over ? said.revoked : said.goodUntil(texts.day(one.expires_at))),
      !over && button(said.revoke, done(end(one)), { 'aria-label': said.revokeThis(called) }))
  }
  return [element('h2', {}, said.links), element('p', {}, said.linksWhy), element('ul', { class: 'rows' }, links.map(row)),
    status.status === 'open' && element('form', { class: 'line', onsubmit: done(make) },
      element('label', {}, said.label, label), days, element('button', {}, said.makeLink))]
}

/** The token is told once: here. The fragment of an address reaches no server. */
function showLink(label, token) {
  const address = new URL(`guest.html#${token}`, location.href).href
  return dialog(label, (close) => element('div', {}, element('p', {}, said.linkShown),
    qrPicture(address, said.code(label)),
    element('label', {}, said.links, element('input', { readonly: true, value: address, onfocus: (given) => given.target.select() })),
    element('div', { class: 'sheet-actions' },
      button(said.copy, () => navigator.clipboard.writeText(address).then(() => toast(said.copied), () => {})),
      button(texts.close, () => close(null), { class: 'primary' }))))
}

function audit({ event, searches, links }) {
  const labels = new Map(links.map(({ link_id, label }) => [link_id, label]))
  const found = ({ outcome, people, removal_requested_at }) => [said.outcomes[outcome] ?? said.refused, ' ',
    people.map((id, n) => element('a', { href: to('person', event, id) }, said.person(n + 1), ' ')),
    removal_requested_at && element('strong', {}, said.wantsOut)]
  const row = (one) => element('tr', {}, [texts.moment(one.created_at), found(one), labels.get(one.link_id) ?? '–', one.guest ?? '–']
    .map((cell) => element('td', {}, ...[cell].flat())))
  return [element('h2', {}, said.searches), element('p', {}, said.searchesWhy),
    searches.length ? element('div', { class: 'scrolls', tabindex: 0, role: 'region', 'aria-label': said.searches },
      element('table', {}, element('thead', {}, element('tr', {}, said.columns.map((column) => element('th', { scope: 'col' }, column)))),
        element('tbody', {}, searches.map(row)))) : element('p', {}, said.noSearches)]
}

function keeping(given) {
  const { client, event, own, status, role, done } = given
  const asked = (title, words, what, after) => done(async () => {
    if (!await confirm(title, words, title)) return false
    await what()
    if (after) go(after)
    return !after
  })
  const days = [['', said.never], ...KEEP_DAYS.map((n) => [n, said.inDays(n)])]
  const keep = select(said.keep, own.archive_at ? [['set', said.keepSet, true], ...days] : days,
    { onchange: done(async () => {
      const { value } = keep.lastChild
      if (value === 'set') return false
      own.archive_at = (await client.setRetention({ event_id: event, days: Number(value) || null })).archive_at
    }, said.saved) })
  /** Archiving and opening again take the day away. */
  const anew = (call) => async () => {
    await call({ event_id: event })
    own.archive_at = null
  }
  const open = [element('p', {}, said.keepingWhy), element('div', { class: 'line' }, keep),
    own.archive_at && element('p', {}, said.archiveAt(texts.day(own.archive_at)))]
  const isOpen = status.status === 'open'
  return [element('h2', {}, said.keeping), ...(isOpen ? open : [element('p', {}, said.reopenWhy)]), element('div', { class: 'choices' },
    isOpen ? button(said.archive, asked(said.archive, said.archiveWhy, anew(client.archiveEvent)))
      : button(said.reopen, done(anew(client.reopenEvent))),
    role === 'host' && button(said.erase, asked(said.erase, said.eraseWhy(texts.photos(status.photos.total)), () => erase(given), to('events')), { class: 'danger' }))]
}

/** The photos first, also those that were not handed over: afterwards nobody has a right to them. */
async function erase({ client, session, event }) {
  const photos = await client.all('media', { event_id: event, limit: 500 })
  const left = (await stored(session, event)).map((path) => ({ bucket: BUCKET, path }))
  for (const [bucket, those] of Map.groupBy([...photos, ...left], (photo) => photo.bucket)) {
    const prefixes = [...new Set(those.flatMap(({ path, preview_path }) => [path, preview_path].filter(Boolean)))]
    for (let from = 0; from < prefixes.length; from += 1000) {
      const body = { prefixes: prefixes.slice(from, from + 1000) }
      await session.request(`/storage/v1/object/${encodeURIComponent(bucket)}`, { method: 'DELETE', body })
    }
  }
  await client.deleteEvent({ event_id: event })
}

/** The paths of all that lies in an event's folder. */
async function stored(session, event) {
  const paths = []
  for (const folder of [event, `${event}/preview`]) {
    for (let offset = 0; ; offset += 1000) {
      const body = { prefix: folder, limit: 1000, offset }
      const found = await session.request(`/storage/v1/object/list/${BUCKET}`, { body })
      paths.push(...found.filter(({ id }) => id).map(({ name }) => `${folder}/${name}`)) // without an id: a folder
      if (found.length < 1000) break
    }
  }
  return paths
}
