// One photo: who is who, naming, drawing, no face; next and previous by key, swipe and button.
import {
  act, addressOf, back, boxStyle, button, choosePerson, client, faceOf, framed, go, h, heading,
  iconButton, inTurn, mergeInto, onKey, step, texts, to,
} from '../kit.js'
import { drawBox } from '../draw.js'
import { neighbours } from '../order.js'

const SWIPE_PX = 50
const { naming, photo: words } = texts
let boxes = false // shown; stays so from photo to photo

export async function show(root, route, signal) {
  const { event, id, query, manages } = route, turning = turns(route, signal)
  const photo = await client.photo({ media_id: id })
  const names = new Map(photo.people.map((person) => [person.person_id, person]))
  const title = words.alt(photo.people.map(({ name }) => name).filter(Boolean))
  const frame = framed(photo, title)
  frame.classList.toggle('boxes', boxes)

  const rows = photo.faces.map((face, n) => {
    const known = names.get(face.person_id), name = known?.name
    const page = () => known && go(to('person', event, known.person_id))
    const onclick = manages ? () => askWho(face, known, photo, event) : page
    const box = button(h('span.box-name', name ?? words.unknown), onclick, // rows are for keys
      { class: 'box', style: boxStyle(face.bbox), tabindex: -1, 'aria-hidden': 'true' })
    frame.append(box)
    const light = () => box.classList.add('lit'), dark = () => box.classList.remove('lit')
    const lights = { onpointerenter: light, onpointerleave: dark, onfocus: light, onblur: dark }
    return h('li', button([faceOf({ ...photo, ...face }, 'round'), h('span', name ?? words.who)],
      onclick, { class: 'row', ...lights, label: words.isFace(name, n + 1) }))
  })
  const person = query.get('of')
  const above = person ? to('person', event, person) : to('people', event)
  const stage = h('div.stage', frame)
  root.append(heading(() => back(above), title), stage,
    h('section.panel', { label: words.people }, h('h2', words.people),
      rows.length ? h('ul.picker', rows) : h('p.soft', words.states[photo.status]),
      h('div.actions', rows.length > 0 && toggle(frame), manages && drawing(frame, photo, event),
        original(photo))))
  arrows(stage, turning)
}

const toggle = (frame) => button(words.faces, ({ currentTarget }) => {
  boxes = frame.classList.toggle('boxes')
  currentTarget.setAttribute('aria-pressed', boxes)
}, { 'aria-pressed': String(boxes) })

function original(photo) {
  const link = h('a.button',
    { download: photo.path.split('/').at(-1), target: '_blank', rel: 'noopener' }, words.download)
  addressOf(photo, true).then((address) => { link.href = address }, () => link.remove())
  return link
}

/** Arrow keys, also while the photo is still coming. Answers { around, turn }. */
function turns(route, signal) {
  const around = neighbours(route).catch(() => ({}))
  const turn = async (side) => {
    const media_id = (await around)[side]
    if (media_id && !signal.aborted) step(to('photo', route.event, media_id, route.query))
  }
  onKey(({ key }) => {
    if (key === 'ArrowLeft') turn('before')
    if (key === 'ArrowRight') turn('after')
  }, signal)
  return { around, turn }
}

/** Swipes, and visible buttons. */
async function arrows(stage, { around, turn }) {
  let from
  stage.addEventListener('touchstart', ({ touches }) => {
    from = touches.length === 1 ? touches[0] : undefined
  }, { passive: true })
  stage.addEventListener('touchend', ({ changedTouches: [{ clientX, clientY }], target }) => {
    if (!from || target.closest('.draw-layer')) return
    const across = clientX - from.clientX, down = Math.abs(clientY - from.clientY)
    if (Math.abs(across) > Math.max(SWIPE_PX, 2 * down)) turn(across > 0 ? 'before' : 'after')
  })
  const { before, after } = await around
  const arrow = (name, side, label, where) =>
    iconButton(name, label, () => turn(side), `turn ${where}`)
  if (before) stage.append(arrow('back', 'before', words.previous, ''))
  if (after) stage.append(arrow('next', 'after', words.next, 'next'))
}

/** Whose face this is, and what else can be said of it. */
async function askWho(face, known, photo, event) {
  const { face_id, person_id } = face
  const ofKnown = known ? [[words.allOf(known.name), 'open'], [words.not(known.name), 'not']] : []
  const answer = await choosePerson(known?.name ?? words.who, event, {
    without: person_id, face: { ...photo, ...face }, fresh: true,
    actions: [...ofKnown, [words.noFace, 'no face']],
  })
  if (answer === 'open') go(to('person', event, person_id))
  else if (answer === 'not') notThem(face_id, known)
  else if (answer === 'no face') act(words.noFaceSaid, () => client.dismissFace({ face_id }))
  else if (answer?.person) isNow(face_id, known, answer.person)
  else if (answer) isNew(face_id, known, answer.name)
}

const notThem = (face_id, { person_id, name }) =>
  act(words.notSaid(name), () => client.rejectFace({ face_id, person_id }))

/** This face alone; where its person has no name yet, all of that person may be meant. */
function isNow(face_id, known, { person_id, name }) {
  const all = () => act(texts.person.merged, () => mergeInto(person_id, [known.person_id]))
  const several = known && !known.name && known.face_count > 1
  const more = () => (several ? [[words.all(known.face_count), all]] : [])
  return act(words.isNow(name), () => client.assignFace({ face_id, person_id }), { more })
}

/** A name for whoever has none; else this face is somebody new. */
function isNew(face_id, known, name) {
  const rename = () => client.renamePerson({ person_id: known.person_id, name })
  return act(naming.named(name), known && !known.name ? rename : () => somebody(face_id, name))
}

/** Somebody new, with a name: two changes, after what was done already. */
function somebody(face_id, name, done = []) {
  let made
  const assign = async () => (made = await client.assignFace({ face_id }))
  const rename = () => client.renamePerson({ person_id: made.person_id, name })
  return inTurn([...done.map((one) => () => one), assign, rename])
}

/** The button that lets one draw a box, and what is said meanwhile. */
function drawing(frame, photo, event) {
  let drawn
  const set = (on) => {
    if (on) drawn = drawBox(frame, done)
    else drawn.end()
    for (const one of [said, goOn, cancel]) one.hidden = !on
    start.hidden = on
    if (!on) start.focus({ preventScroll: true })
  }
  const done = async (bbox) => {
    const face = { ...photo, bbox }
    const answer = await choosePerson(words.who, event, { face, fresh: true })
    if (!answer) return
    set(false)
    act(words.drawn, () => addFace(photo.media_id, bbox, answer))
  }
  const said = h('p.soft', { hidden: true, id: 'how-to-draw' }, words.drawText)
  const start = button(words.draw, () => set(true))
  const goOn = button(words.goOn, () => done(drawn.bbox()), { class: 'primary', hidden: true })
  const cancel = button(texts.cancel, () => set(false), { hidden: true })
  return [said, start, goOn, cancel]
}

async function addFace(media_id, bbox, { person, name }) {
  const face = await client.addFace({ media_id, bbox, person: person?.person_id ?? null })
  return person ? face : somebody(face.face_id, name, [face])
}
