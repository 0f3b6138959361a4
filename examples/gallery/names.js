// Naming somebody, choosing somebody by name, and making one person of several.
import { act, inTurn } from './act.js'
import { button, dialog, h } from './dom.js'
import { faceOf } from './photos.js'
import { client } from './session.js'
import { texts } from './texts.js'

const SHOWN = 24, PAUSE_MS = 200
const MOST_MERGED = 100 // in one call
const { naming, picker } = texts

/** A button with a face, a name, and how many faces of theirs there are. */
export function personRow({ cover, name, face_count }, onclick, attributes) {
  const about = [h('span', name ?? texts.unnamed), h('small', texts.faces(face_count))]
  return button([faceOf(cover, 'round'), about], onclick, { class: 'row', ...attributes })
}

/** A field that calls look() a moment after one typed; at once on Enter. */
export function searchField(label, look, attributes) {
  let timer
  const onkeydown = ({ key, repeat }) => {
    if (key !== 'Enter' || repeat) return
    clearTimeout(timer)
    look()
  }
  const oninput = () => {
    clearTimeout(timer)
    timer = setTimeout(look, PAUSE_MS)
  }
  const about = { type: 'search', dir: 'auto', autocomplete: 'off', label, placeholder: label }
  return h('input', { ...about, oninput, onkeydown, ...attributes })
}

/** In steps; each is a change that can be taken back. from: ids. */
export function mergeInto(into, from) {
  const steps = from.flatMap((_, n) => (n % MOST_MERGED ? [] : [from.slice(n, n + MOST_MERGED)]))
  return inTurn(steps.map((step) => () => client.mergePeople({ into, from: step })))
}

/** A field that names a person when one leaves it; named(person) when that is done. */
export function nameField(person, named) {
  const { person_id } = person
  const merge = (from) => act(texts.person.merged, () => mergeInto(person_id, from))
  const rename = async () => {
    const typed = input.value, name = typed.trim() || null
    const show = ({ name: now }) => {
      const typing = input.value !== typed && document.activeElement === input
      if (!typing) input.value = now ?? ''
      person.name = now
      input.setAttribute('aria-label', naming.field(now))
      named(person)
    }
    await act(({ same_name }) => (same_name.length ? naming.same(name) : naming.named(name)),
      () => client.renamePerson({ person_id, name }), {
        more: ({ same_name }) => (same_name.length ? [[naming.merge, () => merge(same_name)]] : []),
        after: show,
      }) ?? show(person)
  }
  const input = h('input.name', {
    value: person.name, placeholder: naming.add, label: naming.field(person.name),
    maxlength: 200, autocomplete: 'off', enterkeyhint: 'done', dir: 'auto', onchange: rename,
    onkeydown: ({ key }) => {
      if (key === 'Enter') input.blur()
      if (key === 'Escape') input.value = person.name ?? ''
    },
  })
  return input
}

/**
 * Asks who it is. Resolves with { person }, { name } of somebody new where `fresh` allows that, the
 * value of one of `actions`, or null.
 */
export const choosePerson = (title, event, { without, face, fresh = false, actions } = {}) =>
  dialog(title, (close) => {
    let asked = 0, choice // what Enter means: only what nobody can take for something else

    /** Whether the list is the one of what is typed now. */
    async function show() {
      const turn = ++asked, name = input.value.trim()
      const { people } = await client.people({ event_id: event, name: name || null, limit: SHOWN })
      if (turn !== asked) return false
      const called = (person) => person.name?.toLowerCase() === name.toLowerCase()
      const offered = people.filter(({ person_id }) => person_id !== without)
      const known = people.some(called), isNew = name && fresh && !known
      const meant = known ? offered.filter(called) : offered
      choice = name && meant.length === 1 ? { person: meant[0] } : null
      if (isNew) choice = { name }
      const rows = offered.map((person) => h('li', personRow(person, () => close({ person }))))
      if (isNew) rows.push(h('li', button(picker.fresh(name), () => close({ name }), 'row')))
      list.replaceChildren(...(rows.length ? rows : [h('li.soft', picker.none)]))
      return true
    }

    const look = () => show().catch((error) => list.replaceChildren(h('li.problem', error.words)))
    const onsubmit = async (event) => {
      event.preventDefault()
      if (!await look()) return
      if (choice) close(choice)
      else list.querySelector('button')?.focus()
    }
    const onkeydown = (pressed) => {
      if (pressed.key === 'Enter' && pressed.repeat) pressed.preventDefault()
    }
    const list = h('ul.picker', { label: picker.list })
    const input = searchField(picker.search, look, { autofocus: true })
    look()
    return h('form', { onsubmit, onkeydown }, face && faceOf(face), input, list)
  }, actions)
