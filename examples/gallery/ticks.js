// What is ticked, and the bar that says what can be done with it.
import { element, iconButton } from './dom.js'
import { texts } from './texts.js'

/** actions(items) answers buttons. Returns { box(key, item, label), clear() }. */
export function ticks(root, actions) {
  const ticked = new Map() // key -> item
  const bar = element('div', { class: 'bar', role: 'toolbar', 'aria-label': texts.chosen(0), hidden: true })

  function show() {
    const said = texts.chosen(ticked.size)
    bar.hidden = !ticked.size
    bar.setAttribute('aria-label', said)
    root.classList.toggle('ticking', ticked.size > 0)
    bar.replaceChildren(iconButton('close', texts.clear, clear), element('span', { class: 'bar-count', role: 'status' }, said),
      ...actions([...ticked.values()]))
  }

  function clear() {
    ticked.clear()
    for (const box of root.querySelectorAll('.tick:checked')) box.checked = false
    show()
  }

  root.append(bar)
  root.addEventListener('keydown', ({ key }) => key === 'Escape' && ticked.size && clear())
  const box = (key, item, label) => element('input', { type: 'checkbox', class: 'tick', 'aria-label': label, checked: ticked.has(key),
    onchange: ({ target }) => { target.checked ? ticked.set(key, item) : ticked.delete(key); show() } })
  return { box, clear }
}
