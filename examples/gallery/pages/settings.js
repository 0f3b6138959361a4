// An event: its name, who may see it, links for guests, what they searched, how long it is kept.
import {
  act, button, call, client, confirm, dialog, erase, field, form, go, h, request, texts, to, user,
} from '../kit.js'
import { BUCKET } from '../uploads.js'
import { renderSVG } from '../vendor/uqr.js'

const { settings: words } = texts
const KEEP_DAYS = [7, 30, 90, 365], LINK_DAYS = [1, 7, 30, 90]

export async function show(root, { event, own, manages }) {
  root.append(h('h1', words.title))
  const event_id = event
  if (!manages) return root.append(h('p', words.onlyHosts), leaving(event_id))
  const [members, links, { searches }, status] = await Promise.all([
    call('event_members', { p_event_id: event }), client.all('searchLinks', { event_id }),
    client.searches({ event_id }), client.eventStatus({ event_id })])
  const open = status.status === 'open'
  root.append(...[
    naming(event, own), membersOf(event_id, members), linksOf(event_id, links, open),
    audit(event, searches, links), keeping(event_id, own, open, status.photos.total),
  ].map((section) => h('section', section)))
}

/** What a button or a field does: asked first, where `why` is given. */
const does = (said, change, { why, ...more } = {}) => async () => {
  if (!why || await confirm(said, why)) await act(more.told, change, more)
}

function leaving(event_id) {
  const leave = () => client.removeMember({ event_id, user_id: user().id })
  const after = () => go(to('events'))
  return button(words.leave, does(words.leave, leave, { why: words.leaveWhy, after }))
}

function naming(event, own) {
  const save = async (title) => {
    await call('name_event', { p_event_id: event, p_title: title })
    own.title = title
  }
  const name = { name: 'title', value: own.title, dir: 'auto', required: true, maxlength: 200 }
  return [h('h2', words.name), form(({ title }) => act(words.saved, () => save(title.trim())),
    field(words.name, name), h('button', words.save))]
}

const select = (label, options, attributes) => h('label', label, h('select', attributes,
  options.map(([value, text, selected]) => h('option', { value, selected }, text))))

function membersOf(event_id, members) {
  const add = async ({ email, role }) => {
    await call('invite', { p_event_id: event_id, p_email: email, p_role: role }).catch((error) => {
      if (error.code === 'not_found') error.words = words.unknown
      throw error
    })
  }
  const row = ({ user_id, email, role, is_owner }) => {
    const name = email || (user_id === user()?.id ? words.you : words.noAccount)
    const remove = () => client.removeMember({ event_id, user_id })
    const again = () => act(words.added(name), () => add({ email, role }))
    const more = () => (email ? [[texts.undo, again]] : [])
    return h('li', h('span', name), h('small', is_owner ? words.owner : words.roles[role]),
      !is_owner && button(texts.remove, () => act(words.removed(name), remove, { more }),
        { label: words.remove(name) }))
  }
  const asked = form((given) => act(words.added(given.email), () => add(given)),
    field(words.email, { name: 'email', type: 'email', required: true, autocomplete: 'off' }),
    select(words.role, Object.entries(words.roles), { name: 'role' }), h('button', words.add))
  return [h('h2', words.people), h('ul.rows', members.map(row)),
    user().is_anonymous ? h('p', words.addWithAccount) : asked]
}

function linksOf(event_id, links, open) {
  const make = async ({ label, days }) => {
    const options = { label: label.trim(), expires_in_hours: 24 * days }
    const { token } = await client.createSearchLink({ event_id, options })
    await showLink(options.label, token)
  }
  const row = ({ link_id, label, searches, max_searches, revoked_at, expires_at }) => {
    const name = label ?? words.noLabel
    const over = revoked_at || new Date(expires_at) < new Date()
    const ends = over ? words.revoked : words.goodUntil(texts.day(expires_at))
    const revoke = () => client.revokeSearchLink({ link_id })
    const end = does(words.revoke, revoke, { why: words.revokeWhy })
    return h('li', h('span', name), h('small', `${words.used(searches, max_searches)} · ${ends}`),
      !over && button(words.revoke, end, { label: words.revokeThis(name) }))
  }
  const days = LINK_DAYS.map((n) => [n, words.forDays(n), n === 7])
  return [h('h2', words.links), h('p', words.linksWhy), h('ul.rows', links.map(row)),
    open && form((given) => act(null, () => make(given)),
      field(words.label, { name: 'label', dir: 'auto', maxlength: 200, required: true }),
      select(words.days, days, { name: 'days' }), h('button', words.makeLink))]
}

/** The token is told once: here. The fragment of an address reaches no server. */
function showLink(label, token) {
  const address = new URL(`guest.html#${token}`, location.href).href
  const said = h('span', { role: 'status' }) // a toast would lie below the dialog
  const copy = () => navigator.clipboard.writeText(address)
    .then(() => words.copied, () => texts.wrong).then((told) => { said.textContent = told })
  const onfocus = ({ target }) => target.select()
  const picture = encodeURIComponent(renderSVG(address, { ecc: 'M', border: 4 }))
  const code = { src: `data:image/svg+xml,${picture}`, alt: words.code(label) }
  return dialog(label, () => [h('p', words.linkShown), h('img.qr', code),
    field(words.link, { readonly: true, value: address, onfocus }),
    h('p.line', button(words.copy, copy, 'primary'), said)], [], texts.close)
}

function audit(event, searches, links) {
  const labels = new Map(links.map(({ link_id, label }) => [link_id, label ?? words.noLabel]))
  // links that many share are listed; another one was opened by somebody who is signed in
  const by = ({ link_id }) => (link_id ? labels.get(link_id) ?? words.signedIn : words.byService)
  const link = (page, id, said) => [h('a', { href: to(page, event, id) }, said), ' ']
  const found = ({ outcome, people, removal_requested_at, take_out }) => [
    words.outcomes[outcome] ?? words.refused, ' ',
    people.map((id, n) => link('person', id, words.person(n + 1))),
    take_out.map(({ media_id }, n) => link('photo', media_id, words.inPhoto(n + 1))),
    removal_requested_at && h('strong', words.wantsOut)]
  const cells = (one) => [texts.moment(one.created_at), found(one), by(one), one.guest ?? '–']
  const table = () => h('table',
    h('thead', h('tr', words.columns.map((column) => h('th', { scope: 'col' }, column)))),
    h('tbody', searches.map((one) => h('tr', cells(one).map((cell) => h('td', cell))))))
  return [h('h2', words.searches), h('p', words.searchesWhy),
    searches.length ? table() : h('p', words.noSearches)]
}

function keeping(event_id, own, open, photos) {
  const keep = async (days) => {
    own.archive_at = (await client.setRetention({ event_id, days })).archive_at
  }
  const set = own.archive_at ? [['set', words.keepSet, true]] : []
  const days = [...set, ['', words.never], ...KEEP_DAYS.map((n) => [n, words.inDays(n)])]
  const onchange = ({ target }) => {
    const chosen = Number(target.value) || null
    target.selectedIndex = 0 // what holds, until it is saved
    return act(words.saved, () => keep(chosen))
  }
  const whenOpen = [h('p', words.keepingWhy), h('div.line', select(words.keep, days, { onchange })),
    own.archive_at && h('p', words.archiveAt(texts.day(own.archive_at)))]
  const archive = does(words.archive, () => client.archiveEvent({ event_id }),
    { why: words.archiveWhy })
  const reopen = does(words.reopen, () => client.reopenEvent({ event_id }))
  const eraseAll = does(words.erase, () => eraseEvent(event_id),
    { why: words.eraseWhy(photos), after: () => go(to('events')) })
  return [h('h2', words.keeping), open ? whenOpen : h('p', words.reopenWhy), h('div.choices',
    open ? button(words.archive, archive) : button(words.reopen, reopen),
    own.role === 'host' && button(words.erase, eraseAll, 'danger'))]
}

/** The photos first, also those not handed over: afterwards nobody has a right to them. */
async function eraseEvent(event_id) {
  const photos = await client.all('media', { event_id, limit: 500 })
  const left = (await stored(event_id)).map((path) => ({ bucket: BUCKET, path }))
  for (const [bucket, those] of Map.groupBy([...photos, ...left], (photo) => photo.bucket)) {
    const paths = those.flatMap(({ path, preview_path }) => [path, preview_path]).filter(Boolean)
    const once = [...new Set(paths)]
    while (once.length) await erase(bucket, once.splice(0, 1000))
  }
  await client.deleteEvent({ event_id })
}

/** The paths of all that lies in an event's folder. */
async function stored(event_id) {
  const paths = []
  for (const prefix of [event_id, `${event_id}/preview`]) {
    for (let offset = 0, found; !found || found.length === 1000; offset += 1000) {
      found = await request(`/storage/v1/object/list/${BUCKET}`, { prefix, limit: 1000, offset })
      const files = found.filter(({ id }) => id) // without an id: a folder
      paths.push(...files.map(({ name }) => `${prefix}/${name}`))
    }
  }
  return paths
}
