// Elements, icons, announcements, dialogs. Text is always set as text, never as HTML.
import { texts } from './texts.js'

const DRAWN = ['svg', 'path']

/**
 * h('a.tile', { href, onclick, disabled, style, label }, 'text', child, null): attributes may be
 * left out; label is what a screen reader says.
 */
export function h(what, ...rest) {
  const [tag, ...classes] = what.split('.')
  const { style, ...attributes } = rest[0]?.constructor === Object ? rest.shift() : {}
  const made = DRAWN.includes(tag) ? document.createElementNS('http://www.w3.org/2000/svg', tag)
    : document.createElement(tag)
  if (classes.length) made.setAttribute('class', classes.join(' '))
  for (const [name, value] of Object.entries(attributes)) {
    const said = name === 'label' ? 'aria-label' : name
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value)
    else if (value !== false && value != null) made.setAttribute(said, value === true ? '' : value)
  }
  setStyle(made, style)
  made.append(...rest.flat(Infinity).filter((child) => child != null && child !== false))
  return made
}

export function setStyle(shown, style = {}) {
  for (const [name, value] of Object.entries(style)) shown.style.setProperty(name, value)
}

const percent = (part) => `${100 * part}%`

/** A box with fractions of what it lies in, as style. */
export const boxStyle = ({ x, y, w, h: high }) =>
  ({ left: percent(x), top: percent(y), width: percent(w), height: percent(high) })

const ICONS = {
  people: 'M9 4a4 4 0 1 0 .01 0M3 20a6 6 0 0 1 12 0M17 4q5 3.5 0 7M18 14q3 2 3 6',
  person: 'M12 4a4 4 0 1 0 .01 0M5 20a7 7 0 0 1 14 0',
  review: 'M12 3l1.9 5.1L19 10l-5.1 1.9L12 17l-1.9-5.1L5 10l5.1-1.9L12 3ZM19 16v5M16.5 18.5h5',
  upload: 'M12 16V4M7 9l5-5 5 5M4 16v3a1.5 1.5 0 0 0 1.5 1.5h13a1.5 1.5 0 0 0 1.5-1.5v-3',
  settings: 'M4 7h9m4 0h3M4 17h3m4 0h9M15 5a2 2 0 1 0 .01 0M9 15a2 2 0 1 0 .01 0',
  back: 'M15 5l-7 7 7 7', next: 'M9 5l7 7-7 7', close: 'M6 6l12 12M18 6L6 18',
}

export const icon = (name) => h('svg.icon', { viewBox: '0 0 24 24', 'aria-hidden': 'true' },
  h('path', { d: ICONS[name] }))

/** One at a time: a second click is passed over until what the first one began has ended. */
function once(does) {
  let going
  return (given) => {
    going ??= Promise.resolve(does(given)).finally(() => { going = undefined })
  }
}

/** more: its class, or attributes. */
export function button(label, does, more = {}) {
  const attributes = typeof more === 'string' ? { class: more } : more
  return h('button', { type: 'button', onclick: once(does), ...attributes }, label)
}

/** A round button that shows an icon and says its name. */
export const iconButton = (name, label, onclick, where = '') =>
  button(icon(name), onclick, { class: `icon-button ${where}`, label, title: label })

/** A button that asks for files; chosen(files) gets them. */
export function fileButton(label, chosen, attributes) {
  const onchange = ({ target }) => {
    chosen([...target.files])
    target.value = '' // so that the same ones may be chosen again
  }
  return h('label.button', label,
    h('input.unseen', { type: 'file', multiple: true, onchange, ...attributes }))
}

/** A form; submit(values) gets what its named fields hold. */
export function form(submit, ...content) {
  const send = once(submit)
  const onsubmit = (event) => {
    event.preventDefault()
    send(Object.fromEntries(new FormData(event.target)))
  }
  return h('form.line', { onsubmit }, content)
}

export const field = (label, attributes) => h('label', label, h('input', attributes))

/** What a page begins with: back to where one came from, and its title. */
export const heading = (back, title) =>
  h('div.heading', iconButton('back', texts.back, back), h('h1', title))

/** Says something at the bottom, with what can be done about it: [label, does]. One at a time. */
export function toast(said, ...actions) {
  const end = () => {
    if (shown.contains(document.activeElement)) document.querySelector('h1')?.focus()
    shown.remove()
  }
  const choose = (does) => () => {
    end()
    does()
  }
  const shown = h('div', { class: actions.length ? 'toast long' : 'toast', onanimationend: end },
    h('span', said), actions.map(([label, does]) => button(label, choose(does))),
    iconButton('close', texts.close, end))
  document.querySelector('#toasts').replaceChildren(shown)
  return shown
}

/** One that stays when its event is left: of what went wrong, or went on meanwhile. */
export const lastingToast = (...told) => toast(...told).classList.add('lasting')

/** Takes away what is asked and said: of the event that was left, or of a user all. */
export function hush(all) {
  document.querySelectorAll(all ? '.toast' : '.toast:not(.lasting)').forEach((one) => one.remove())
  document.querySelectorAll('dialog').forEach((box) => box.close())
}

/**
 * A modal dialog. build(close) makes what is in it; below are buttons for answers, [label, value,
 * kind], and the last one. Resolves with the value, or what close got; null: none of them.
 */
export const dialog = (title, build, answers = [], last = texts.cancel) => new Promise((end) => {
  let answer = null
  const close = (value) => {
    answer = value
    box.close()
  }
  const leave = () => close(null) // back on a phone: the page below is another one
  const onclose = () => {
    removeEventListener('hashchange', leave)
    box.remove()
    end(answer)
  }
  const onclick = ({ target }) => target === box && leave()
  const buttons = answers.map(([label, value, kind]) => button(label, () => close(value), kind))
  const box = h('dialog', { 'aria-labelledby': 'dialog-title', onclose, onclick },
    h('div.sheet', h('h2', { id: 'dialog-title' }, title), build(close),
      h('div.actions', buttons, button(last, leave, { autofocus: true }))))
  document.body.append(box)
  addEventListener('hashchange', leave)
  box.showModal()
})

/** Asked once, in plain words. */
export const confirm = (title, words, yes = title) =>
  dialog(title, () => words.map((line) => h('p', line)), [[yes, true, 'danger']])

/** Calls pressed(event) for keys that are meant for the page: no field, no dialog, no browser. */
export const onKey = (pressed, signal) => addEventListener('keydown', (event) => {
  const elsewhere = event.target.closest?.('input, dialog')
  if (!elsewhere && !event.altKey && !event.ctrlKey && !event.metaKey) pressed(event)
}, { signal })
