// Photos in: from files, folders, a drop. What was begun goes on while one looks at other pages.
import { button, element, iconButton, toast } from '../dom.js'
import { to } from '../router.js'
import { texts } from '../texts.js'
import { queueOf } from '../uploads.js'

const SHOWN_DONE = 30 // rows of photos that are done: the page stays small with thousands
const ENDED = ['done', 'failed', 'refused']

export async function show(root, { client, session, event, role, tell }, signal) {
  const { upload: said } = texts
  root.append(element('h1', {}, texts.nav.upload))
  if (!['host', 'cohost', 'contributor'].includes(role)) return root.append(element('p', {}, said.mayNot))
  const { status } = await client.eventStatus({ event_id: event })
  if (status === 'archived') return root.append(element('p', {}, said.archived))

  const queue = queueOf(event, client, session)
  const bar = element('progress', { max: 1, value: 0, 'aria-label': said.progress })
  const summary = element('p', { role: 'status' })
  const list = element('ul', { class: 'uploads', 'aria-label': said.list })
  const refused = () => queue.items.filter(({ state }) => state === 'refused')
  const againAll = button(said.againAll, () => queue.again(...refused()))
  const rows = new Map()

  function draw(item) {
    const row = rows.get(item) ?? element('li')
    if (!rows.has(item)) list.append(row)
    rows.set(item, row)
    const reason = item.state === 'failed' || item.state === 'refused'
    row.className = item.state
    row.replaceChildren(...[
      element('span', { class: 'name' }, item.name),
      element('span', { class: 'state' }, reason ? said.why(item) : said.states[item.state](item)),
      reason && element('small', {}, said.remedy(item.code)),
      reason && element('span', { class: 'actions' },
        item.state === 'refused' && button(texts.tryAgain, () => queue.again(item), { 'aria-label': said.againWith(item.name) }),
        iconButton('close', said.takeAway(item.name), () => queue.takeAway(item).catch(tell))),
    ].filter(Boolean))
  }

  function drawAll(changed) {
    const ended = queue.items.filter(({ state }) => ENDED.includes(state))
    bar.max = Math.max(queue.items.length, 1)
    bar.value = ended.length
    bar.hidden = !queue.items.length
    const all = queue.items.length
    summary.textContent = `${said.summary(all, ended.length, ended.filter(({ state }) => state !== 'done').length)} `
    if (all && ended.length === all) summary.append(element('a', { href: to('people', event) }, said.seePeople))
    againAll.hidden = refused().length < 2
    for (const item of changed) if (item.state !== 'waiting' || rows.has(item)) draw(item)
    const there = new Set(queue.items)
    for (const [item, row] of rows) if (!there.has(item)) forget(item, row)
    const done = [...rows].filter(([{ state }]) => state === 'done')
    for (const [item, row] of done.slice(0, -SHOWN_DONE)) forget(item, row)
  }
  const forget = (item, row) => { rows.delete(item); row.remove() }

  const add = (files) => {
    const others = queue.add(files)
    if (others) toast(said.others(others))
  }
  const choose = (label, attributes) => {
    const input = element('input', { type: 'file', multiple: true, class: 'unseen', ...attributes,
      onchange: () => { add([...input.files]); input.value = '' } })
    return element('label', { class: 'button' }, label, input)
  }
  const zone = element('div', { class: 'drop',
    ondragover: (dragged) => { dragged.preventDefault(); zone.classList.add('over') },
    ondragleave: () => zone.classList.remove('over'),
    ondrop: async (dropped) => {
      dropped.preventDefault()
      zone.classList.remove('over')
      const files = await filesOf(dropped.dataTransfer)
      add(files.filter(Boolean))
      const unread = files.filter((file) => !file).length
      if (unread) toast(said.unreadable(unread))
    } },
  element('p', {}, said.drop),
  element('div', { class: 'choices' },
    choose(said.files, { accept: 'image/*' }), choose(said.folder, { webkitdirectory: true })))
  root.append(zone, bar, summary, againAll, list)
  drawAll(queue.items)
  queue.addEventListener('change', ({ detail }) => drawAll(detail), { signal })
}

/** Files of a drop; of folders, what lies below them. null of what cannot be read. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean)
  if (!entries.length) return [...transfer.files]
  return (await Promise.all(entries.map(below))).flat()
}

async function below(entry) {
  if (entry.isFile) return [await new Promise((resolve) => entry.file(resolve, () => resolve(null)))]
  const reader = entry.createReader(), found = []
  for (;;) {
    const part = await new Promise((resolve) => reader.readEntries(resolve, () => resolve(null)))
    if (!part?.length) return [...(await Promise.all(found.map(below))).flat(), ...(part ? [] : [null])]
    found.push(...part)
  }
}
