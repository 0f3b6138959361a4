// A grid of very many items: pages are read as one scrolls, and only what is near is built.
import { h, toast } from './dom.js'
import { texts } from './texts.js'

const NEAR = { rootMargin: '800px' }
const AGAIN_MS = 5_000, AT_ONCE = 16
const KINDS = { people: ['people-grid', 'person_id'], photos: ['photo-grid', 'media_id'] }

/**
 * items: people, photos. read(after) answers a page of them, build(item, n) what the n-th <li>
 * holds. One that came already is passed over: a list may change while it is read. kept remembers
 * how far one came. Resolves with how many are there at first.
 */
export async function grid(root, items, { label, read, build, kept, signal }) {
  const [name, key] = KINDS[items]
  const list = h(`ul.grid.${name}`, { label }), end = h('div.grid-end')
  const held = new Map() // <li> -> item, n
  const seen = new Set() // keys
  let next, reading

  const waiting = new Set() // near and not built: some in every frame, so that scrolling is smooth
  function fillSome() {
    for (const place of [...waiting].slice(0, AT_ONCE)) {
      waiting.delete(place)
      if (!place.firstChild) place.append(...build(...held.get(place)).filter(Boolean))
    }
    if (waiting.size) requestAnimationFrame(fillSome)
  }
  const near = new IntersectionObserver((moved) => {
    for (const { target, isIntersecting } of moved) {
      const used = waiting.delete(target) || target.contains(document.activeElement)
      if (isIntersecting) waiting.add(target)
      else if (!used) target.replaceChildren()
    }
    fillSome()
  }, NEAR)
  // a busy browser tells of several moves at once, and the last is what holds
  const further = new IntersectionObserver((moves) => moves.at(-1).isIntersecting && more(), NEAR)
  signal.addEventListener('abort', () => [near, further].forEach((one) => one.disconnect()))

  async function add() {
    const page = await read(next ?? null)
    if (signal.aborted) return
    for (const item of page[items].filter((one) => !seen.has(one[key]))) {
      const place = h('li')
      list.append(place)
      seen.add(item[key])
      held.set(place, [item, held.size + 1])
      near.observe(place)
    }
    next = page.next
    kept.count = held.size
  }

  async function more() {
    if (next === null || reading) return
    reading = true
    try {
      await add()
    } catch (error) {
      if (!signal.aborted) toast(error.words ?? texts.wrong)
      await new Promise((resolve) => {
        setTimeout(resolve, AGAIN_MS)
        addEventListener('online', resolve, { once: true, signal })
      })
    }
    reading = false
    further.unobserve(end)
    if (!signal.aborted) further.observe(end) // asks again where it is still in view
  }

  const wanted = kept.count ?? 0
  do await add()
  while (held.size < wanted && next !== null && !signal.aborted)
  root.append(list, end)
  further.observe(end)
  return held.size
}
