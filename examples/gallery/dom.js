// Elements, icons, announcements, dialogs. Text is always set as text, never as HTML.
import { texts } from './texts.js'

/** element('a', { href, class, onclick, disabled }, 'text', child, null). */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value)
    else if (value === true) made.setAttribute(name, '')
    else if (value !== false && value != null) made.setAttribute(name, value)
  }
  made.append(...children.flat().filter((child) => child != null && child !== false))
  return made
}

const ICONS = {
  people: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20a6.5 6.5 0 0 1 13 0M16 4.3a3.5 3.5 0 0 1 0 6.4M18 14a6.5 6.5 0 0 1 3.5 6',
  review: 'M12 3l1.9 5.1L19 10l-5.1 1.9L12 17l-1.9-5.1L5 10l5.1-1.9L12 3ZM19 16v5M16.500 18.500h5',
  upload: 'M12 16V4M7 9l5-5 5 5M4 16v3a1.500 1.500 0 0 0 1.500 1.500h13a1.500 1.500 0 0 0 1.500-1.500v-3',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 9.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5ZM9 19.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5Z',
  back: 'M15 5l-7 7 7 7', next: 'M9 5l7 7-7 7', close: 'M6 6l12 12M18 6L6 18', check: 'M5 12.500l4.500 4.500L19 7.500',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM16 16l4.500 4.500', more: 'M5 12h.01M12 12h.01M19 12h.01',
  undo: 'M8 5L4 9l4 4M4 9h10a6 6 0 0 1 0 12h-3', face: 'M12 13a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM5 21a7 7 0 0 1 14 0',
}

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  for (const [key, value] of Object.entries({ viewBox: '0 0 24 24', 'aria-hidden': 'true', class: 'icon' })) {
    svg.setAttribute(key, value)
  }
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path')
  path.setAttribute('d', ICONS[name])
  svg.append(path)
  return svg
}

export const button = (label, onclick, attributes = {}) =>
  element('button', { type: 'button', onclick, ...attributes }, label)

/** A round button that shows an icon and says its name. */
export const iconButton = (name, label, onclick, attributes = {}) =>
  element('button', { type: 'button', class: 'icon-button', 'aria-label': label, title: label, onclick, ...attributes }, icon(name))

/** Says something at the bottom, with what can be done about it: `{ label, onclick }`. One at a time. */
export function toast(said, ...actions) {
  let timer
  const stay = () => clearTimeout(timer)
  const end = () => { stay(); shown.remove() }
  const wait = () => { stay(); timer = setTimeout(end, actions.length ? 10_000 : 5_000) }
  const shown = element('div', { class: 'toast', onpointerenter: stay, onpointerleave: wait, onfocusin: stay, onfocusout: wait },
    element('span', {}, said),
    actions.map(({ label, onclick }) => button(label, () => { end(); onclick() }, { class: 'toast-action' })),
    iconButton('close', texts.close, end))
  document.querySelector('#toasts').replaceChildren(shown)
  wait()
}

export const announce = (said) => {
  const hidden = element('span', { class: 'unseen', role: 'status' })
  document.body.append(hidden)
  setTimeout(() => { hidden.textContent = said }, 50) // live regions tell changes
  setTimeout(() => hidden.remove(), 5000)
}

/** A modal dialog; `build(close)` makes what is in it. Resolves with what close was given, null for Escape. */
export function dialog(title, build) {
  return new Promise((resolve) => {
    let answer = null
    const close = (value) => { answer = value; box.close() }
    const leave = () => close(null) // back on a phone: the page below is another one
    const heading = element('h2', { id: 'dialog-title' }, title)
    const box = element('dialog', { 'aria-labelledby': 'dialog-title', class: 'sheet',
      onclose: () => { removeEventListener('hashchange', leave); box.remove(); resolve(answer) },
      onclick: (event) => { if (event.target === box) close(null) } })
    box.append(element('div', { class: 'sheet-inside' }, heading, build(close)))
    document.body.append(box)
    addEventListener('hashchange', leave)
    box.showModal()
  })
}

/** Asked once, in plain words. */
export const confirm = (title, words, yes) => dialog(title, (close) => element('div', {},
  ...words.map((line) => element('p', {}, line)),
  element('div', { class: 'sheet-actions' },
    button(texts.cancel, () => close(false), { autofocus: true }),
    button(yes, () => close(true), { class: 'danger' }))))
