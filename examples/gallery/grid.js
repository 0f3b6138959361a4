// A grid of very many items: pages are read as one scrolls, and only what is near the window is built.
import { announce, element } from './dom.js'
import { texts } from './texts.js'

const NEAR = '800px'
const AGAIN_MS = 5_000
const AT_ONCE = 16

/**
 * read(after) answers { items, next }; build(item) answers what an <li> holds; kept remembers how far one came.
 * A key that came already is passed over: the list may change while it is read. Resolves with the first page.
 */
export async function grid(root, { className, label, read, build, kept, signal, key }) {
  const list = element('ul', { class: `grid ${className}`, 'aria-label': label })
  const end = element('div', { class: 'grid-end', 'aria-hidden': 'true' })
  const items = new Map() // <li> -> item
  const places = new Map() // key -> <li>
  let next, reading

  const waiting = new Set() // what is near and not built: some in every frame, so that scrolling stays smooth
  function fillSome() {
    for (const place of [...waiting].slice(0, AT_ONCE)) {
      waiting.delete(place)
      if (!place.firstChild && items.has(place)) place.append(...[build(items.get(place))].flat())
    }
    if (waiting.size) requestAnimationFrame(fillSome)
  }
  const near = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (isIntersecting) waiting.add(target)
      else if (!waiting.delete(target) && !target.contains(document.activeElement)) target.replaceChildren()
    }
    fillSome()
  }, { rootMargin: NEAR })
  const further = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && more(), { rootMargin: NEAR })
  signal.addEventListener('abort', () => { near.disconnect(); further.disconnect() })

  function add(page) {
    const added = page.items.filter((item) => !places.has(key(item))).map((item) => {
      const place = element('li')
      items.set(place, item)
      places.set(key(item), place)
      near.observe(place)
      return place
    })
    list.append(...added)
    kept.count = items.size
    next = page.next
  }

  async function more() {
    if (next === null || reading) return
    reading = true
    try {
      const page = await read(next)
      if (!signal.aborted) add(page)
    } catch (error) {
      announce(error.words ?? texts.wrong)
      await new Promise((again) => { setTimeout(again, AGAIN_MS); addEventListener('online', again, { once: true, signal }) })
    }
    reading = false
    if (signal.aborted) return
    further.unobserve(end)
    further.observe(end) // asks again where it is still in view
  }

  const wanted = kept.count ?? 0
  add(await read(null))
  while (items.size < wanted && next !== null) add(await read(next))
  root.append(list, end)
  further.observe(end)
  return {
    list,
    items: () => [...items.values()],
    remove(gone) {
      const place = places.get(gone)
      near.unobserve(place)
      items.delete(place)
      places.delete(gone)
      place.remove()
    },
  }
}
