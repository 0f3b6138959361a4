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
    class: 'name', value: person.name ?? '', placeholder: naming.add, maxlength: 200, autocomplete: 'off', enterkeyhint: 'done',
    'aria-label': naming.field(person.name),
    onkeydown: ({ key }) => {
      if (key === 'Enter') field.blur()
      if (key === 'Escape') field.value = person.name ?? ''
    },
    onchange: async () => {
      const name = field.value.trim() || null
      const { person_id } = person
      const merge = (from) => act(texts.person.merged, () => client.mergePeople({ into: person_id, from })).then((done) => done && refresh())
      const answer = await act(
        ({ same_name }) => same_name.length ? naming.same(name) : naming.named(name),
        () => client.renamePerson({ person_id, name }),
        { more: ({ same_name }) => same_name.length ? [{ label: naming.merge, onclick: () => merge(same_name) }] : [] })
      if (answer) person.name = answer.name
      field.value = person.name ?? ''
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
    let asked = 0, timer
    const list = element('ul', { class: 'picker', 'aria-label': picker.list })
    const field = element('input', { type: 'search', 'aria-label': picker.search, placeholder: picker.search, autofocus: true, autocomplete: 'off',
      oninput: () => { clearTimeout(timer); timer = setTimeout(show, PAUSE_MS) } })

    async function show() {
      const turn = ++asked
      const name = field.value.trim()
      const { people } = await client.people({ event_id: event, name: name || null, limit: SHOWN })
      if (turn !== asked) return
      const rows = people.filter(({ person_id }) => person_id !== without).map((person) => element('li', {},
        element('button', { type: 'button', class: 'row', onclick: () => close({ person }) },
          faceOf(person.cover, { class: 'round' }), element('span', {}, person.name ?? texts.unnamed),
          element('small', {}, texts.photos(person.face_count)))))
      const taken = people.some((person) => person.name?.toLowerCase() === name.toLowerCase())
      if (name && fresh && !taken) rows.push(element('li', {}, button(picker.fresh(name), () => close({ name }), { class: 'row' })))
      list.replaceChildren(...(rows.length ? rows : [element('li', { class: 'soft' }, picker.none)]))
    }

    show().catch((error) => list.replaceChildren(element('li', { class: 'problem' }, error.words ?? texts.wrong)))
    return element('form', { onsubmit: (event) => { event.preventDefault(); show().then(() => list.querySelector('button')?.click()) } },
      face && element('div', { class: 'picker-face' }, faceOf(face)),
      field, list,
      element('div', { class: 'sheet-actions' }, actions.map(({ label, value, attributes }) => button(label, () => close(value), attributes)),
        button(texts.cancel, () => close(null))))
  })
}
