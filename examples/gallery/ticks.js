// What is ticked, and the bar that says what can be done with it.
import { button, h, iconButton } from './dom.js'
import { texts } from './texts.js'

/**
 * actions(items) answers buttons. Answers tick(key, item, label), which makes a box to tick, and
 * tick.start, the button that shows all boxes where nothing hovers.
 */
export function ticks(root, actions) {
  const ticked = new Map() // key -> item
  let choosing = false
  const count = h('strong', { role: 'status' }), answers = h('span')
  const bar = h('div.bar', { role: 'toolbar', hidden: true },
    iconButton('close', texts.clear, () => clear()), count, answers)

  function show() {
    const said = texts.chosen(ticked.size)
    bar.hidden = !choosing && !ticked.size
    bar.setAttribute('aria-label', said)
    root.classList.toggle('ticking', !bar.hidden)
    count.textContent = said
    const can = ticked.size ? actions([...ticked.values()]) : []
    answers.replaceChildren(...can.filter(Boolean))
  }

  function clear() {
    ticked.clear()
    choosing = false
    for (const box of root.querySelectorAll('.tick:checked')) box.checked = false
    show()
  }

  root.append(bar)
  root.addEventListener('keydown', ({ key }) => key === 'Escape' && !bar.hidden && clear())
  const start = button(texts.pick, () => {
    choosing = true
    show()
  }, 'by-touch')
  const tick = (key, item, label) => h('input.tick', {
    type: 'checkbox', label, checked: ticked.has(key),
    onchange: ({ target }) => {
      if (target.checked) ticked.set(key, item)
      else ticked.delete(key)
      show()
    },
  })
  return Object.assign(tick, { start })
}
