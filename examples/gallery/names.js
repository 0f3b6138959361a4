// Naming somebody, and choosing somebody by name.
import { button, dialog, element } from './dom.js'
import { faceOf } from './photos.js'
import { texts } from './texts.js'

const SHOWN = 24
const PAUSE_MS = 200

/** A field that names a person when one leaves it; named(person) when that is done. */
export function nameField(person, { act, client, refresh }, named = () => {}) {
  const { naming } = texts
  const field = element('input', {
    class: 'name', value: person.name ?? '', placeholder: naming.add, maxlength: 200, autocomplete: 'off', enterkeyhint: 'done', dir: 'auto',
    'aria-label': naming.field(person.name),
    onkeydown: ({ key }) => {
      if (key === 'Enter') field.blur()
      if (key === 'Escape') field.value = person.name ?? ''
    },
    onchange: async () => {
      const typed = field.value
      const name = typed.trim() || null
      const { person_id } = person
      const merge = (from) => act(texts.person.merged, () => client.mergePeople({ into: person_id, from })).then((done) => done && refresh())
      const answer = await act(
        ({ same_name }) => same_name.length ? naming.same(name) : naming.named(name),
        () => client.renamePerson({ person_id, name }),
        { more: ({ same_name }) => same_name.length ? [{ label: naming.merge, onclick: () => merge(same_name) }] : [] })
      if (answer) person.name = answer.name
      if (field.value === typed) field.value = person.name ?? '' // else the next name is being typed already
      field.setAttribute('aria-label', naming.field(person.name))
      named(person)
    },
  })
  return field
}

/**
 * Asks who it is. Resolves with { person }, { name } of somebody new where `fresh` allows that, what an action
 * gave to close, or null. actions: { label, value, attributes }.
 */
export function choosePerson(title, { client, event, without, face, fresh = false, actions = [] }) {
  const { picker } = texts
  return dialog(title, (close) => {
    let asked = 0, timer, choice // what Enter means: only what nobody can take for something else
    const list = element('ul', { class: 'picker', 'aria-label': picker.list })
    const field = element('input', { type: 'search', 'aria-label': picker.search, placeholder: picker.search, autofocus: true, autocomplete: 'off', dir: 'auto',
      oninput: () => { clearTimeout(timer); timer = setTimeout(look, PAUSE_MS) } })

    /** Whether the list is the one of what is typed now. */
    async function show() {
      clearTimeout(timer)
      const turn = ++asked
      const name = field.value.trim()
      const { people } = await client.people({ event_id: event, name: name || null, limit: SHOWN })
      if (turn !== asked) return false
      const offered = people.filter(({ person_id }) => person_id !== without)
      const rows = offered.map((person) => element('li', {},
        element('button', { type: 'button', class: 'row', onclick: () => close({ person }) },
          faceOf(person.cover, { class: 'round' }), element('span', {}, person.name ?? texts.unnamed),
          element('small', {}, texts.photos(person.face_count)))))
      const called = (person) => person.name?.toLowerCase() === name.toLowerCase()
      const known = people.some(called), isNew = name && fresh && !known
      const meant = known ? offered.filter(called) : offered
      choice = isNew ? { name } : name && meant.length === 1 ? { person: meant[0] } : null
      if (isNew) rows.push(element('li', {}, button(picker.fresh(name), () => close({ name }), { class: 'row' })))
      list.replaceChildren(...(rows.length ? rows : [element('li', { class: 'soft' }, picker.none)]))
      return true
    }

    const look = () => show().catch((error) => list.replaceChildren(element('li', { class: 'problem' }, error.words ?? texts.wrong)))
    const enter = async (event) => {
      event.preventDefault()
      if (!await look()) return
      if (choice) close(choice)
      else list.querySelector('button')?.focus()
    }
    look()
    return element('form', { onsubmit: enter, onkeydown: (event) => { if (event.key === 'Enter' && event.repeat) event.preventDefault() } },
      face && element('div', { class: 'picker-face' }, faceOf(face)),
      field, list,
      element('div', { class: 'sheet-actions' }, actions.map(({ label, value, attributes }) => button(label, () => close(value), attributes)),
        button(texts.cancel, () => close(null))))
  })
}
