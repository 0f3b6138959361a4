// Photos in: from files, folders, a drop. What was begun goes on while one looks at other pages.
import { button, client, fileButton, h, iconButton, lastingToast, tell, texts, to } from '../kit.js'
import { queueOf } from '../uploads.js'

const SHOWN_DONE = 30 // rows of photos that are done: the page stays small with thousands
const { upload: words } = texts

export async function show(root, { event, own }, signal) {
  const { status } = await client.eventStatus({ event_id: event }), archived = status === 'archived'
  const closed = own.role === 'viewer' ? words.mayNot : archived && words.archived
  const queue = queueOf(event)
  const bar = h('progress', { label: words.progress }), summary = h('p', { role: 'status' })
  const list = h('ul.uploads', { label: words.list })
  const againAll = button(words.againAll, () => queue.again(...queue.inState('refused')))
  const rows = new Map() // item -> <li>

  function draw(changed) {
    const all = queue.items.length, wrong = queue.inState('failed', 'refused').length
    const ended = wrong + queue.inState('done').length
    bar.max = all || 1
    bar.value = ended
    bar.hidden = !all
    againAll.hidden = queue.inState('refused').length < 2
    const people = h('a', { href: to('people', event) }, words.seePeople)
    summary.replaceChildren(`${words.summary(all, ended, wrong)} `,
      ...(all && ended === all ? [people] : []))
    for (const item of changed) if (item.state !== 'waiting' || rows.has(item)) drawRow(item)
    const old = [...rows.keys()].filter(({ state }) => state === 'done').slice(0, -SHOWN_DONE)
    for (const [item, row] of rows) {
      if (queue.items.includes(item) && !old.includes(item)) continue
      rows.delete(item)
      row.remove()
    }
  }

  function drawRow(item) {
    if (!rows.has(item)) rows.set(item, list.appendChild(h('li')))
    const { name, state, code } = item, wrong = state === 'failed' || state === 'refused'
    const again = state === 'refused' && button(texts.tryAgain, () => queue.again(item),
      { label: words.againWith(name) })
    const away = iconButton('close', words.takeAway(name), () => queue.takeAway(item).catch(tell))
    rows.get(item).className = state
    rows.get(item).replaceChildren(h('span.name', name),
      h('span.state', wrong ? words.why(item) : words.states[state](item)),
      ...(wrong ? [h('small', words.remedy(code)), h('span.actions', again, away)] : []))
  }

  const add = (files) => {
    const others = queue.add(files)
    if (others.length) lastingToast(words.others(others))
  }
  root.append(h('h1', texts.nav.upload), closed ? h('p', closed) : dropZone(add),
    ...(closed && !queue.items.length ? [] : [bar, summary, againAll, list]))
  draw(queue.items)
  queue.seen = true
  signal.addEventListener('abort', () => { queue.seen = false })
  queue.addEventListener('change', ({ detail }) => draw(detail), { signal })
}

function dropZone(add) {
  const over = (on) => zone.classList.toggle('over', on)
  const ondragover = (dragged) => {
    dragged.preventDefault()
    over(true)
  }
  const ondrop = async (dropped) => {
    dropped.preventDefault()
    over(false)
    const files = await filesOf(dropped.dataTransfer)
    add(files.filter(Boolean))
    const unread = files.filter((file) => !file).length
    if (unread) lastingToast(words.unreadable(unread))
  }
  const zone = h('div.drop', { ondragover, ondragleave: () => over(false), ondrop },
    h('p', words.drop), h('div.choices', fileButton(words.files, add, { accept: 'image/*' }),
      fileButton(words.folder, add, { webkitdirectory: true })))
  return zone
}

/** Files of a drop; of folders, what lies below them. null of what cannot be read. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean)
  return entries.length ? (await Promise.all(entries.map(below))).flat() : [...transfer.files]
}

async function below(entry) {
  const read = (from, how) => new Promise((done) => from[how](done, () => done(null)))
  if (entry.isFile) return [await read(entry, 'file')]
  const reader = entry.createReader(), found = []
  const next = () => read(reader, 'readEntries')
  let part = await next()
  for (; part?.length; part = await next()) found.push(...part)
  const files = (await Promise.all(found.map(below))).flat()
  return part ? files : [...files, null]
}
