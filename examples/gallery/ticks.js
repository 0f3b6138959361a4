// What is ticked, and the bar that says what can be done with it.
import { h, iconButton } from './dom.js'
import { texts } from './texts.js'

/** actions(items) answers buttons. Answers tick(key, item, label), which makes a box to tick. */
export function ticks(root, actions) {
  const ticked = new Map() // key -> item
  const count = h('strong', { role: 'status' }), answers = h('span')
  const bar = h('div.bar', { role: 'toolbar', hidden: true },
    iconButton('close', texts.clear, () => clear()), count, answers)

  function show() {
    const said = texts.chosen(ticked.size)
    bar.hidden = !ticked.size
    bar.setAttribute('aria-label', said)
    root.classList.toggle('ticking', ticked.size > 0)
    count.textContent = said
    answers.replaceChildren(...actions([...ticked.values()]).filter(Boolean))
  }

  function clear() {
    ticked.clear()
    for (const box of root.querySelectorAll('.tick:checked')) box.checked = false
    show()
  }

  root.append(bar)
  root.addEventListener('keydown', ({ key }) => key === 'Escape' && ticked.size && clear())
  return (key, item, label) => h('input.tick', {
    type: 'checkbox', label, checked: ticked.has(key),
    onchange: ({ target }) => {
      if (target.checked) ticked.set(key, item)
      else ticked.delete(key)
      show()
    },
  })
}
