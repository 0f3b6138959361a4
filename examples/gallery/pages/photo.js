// One photo: who is who, naming, drawing, no face; next and previous by key, swipe and button.
import { button, element, iconButton } from '../dom.js'
import { drawBox, placeBox } from '../draw.js'
import { choosePerson } from '../names.js'
import { neighbours } from '../order.js'
import { addressOf, faceOf, photoOf } from '../photos.js'
import { back, go, step, to } from '../router.js'
import { texts } from '../texts.js'

const SWIPE_PX = 50
let boxes = false // shown; stays so from photo to photo
const { photo: words } = texts

export async function show(root, app, signal) {
  const { client, event, id, query, manages } = app
  const turning = turns(app, signal)
  const photo = await client.photo({ media_id: id })
  const names = new Map(photo.people.map((person) => [person.person_id, person]))
  const whose = ({ person_id }) => names.get(person_id)?.name ?? null
  const named = photo.people.map(({ name }) => name).filter(Boolean)

  const frame = element('div', { class: boxes ? 'frame boxes' : 'frame' }, photoOf(photo, words.alt(named)))
  frame.style.setProperty('--ratio', (photo.width || 3) / (photo.height || 2))
  const rows = photo.faces.map((face) => {
    const known = names.get(face.person_id)
    const ask = () => askWho(face, known, photo, app)
    const open = manages ? ask : () => known && go(to('person', event, known.person_id))
    const box = element('button', { type: 'button', class: 'box', 'aria-label': words.isFace(whose(face)), onclick: open },
      element('span', { class: 'box-name' }, whose(face) ?? words.who))
    placeBox(box, face.bbox)
    frame.append(box)
    const light = (on) => () => box.classList.toggle('lit', on)
    return element('li', {}, element('button', { type: 'button', class: 'row', onclick: open, onpointerenter: light(true), onpointerleave: light(false),
      onfocus: light(true), onblur: light(false), 'aria-label': words.isFace(whose(face)) },
    faceOf({ ...photo, ...face }, { class: 'round' }), element('span', {}, whose(face) ?? words.who)))
  })
  const otherwise = to(...(query.get('of') ? ['person', event, query.get('of')] : ['people', event]))
  const toggle = button(words.faces, () => {
    boxes = frame.classList.toggle('boxes')
    toggle.setAttribute('aria-pressed', boxes)
  }, { 'aria-pressed': String(boxes) })
  root.append(
    element('div', { class: 'heading' }, iconButton('back', texts.back, () => back(otherwise)), element('h1', {}, words.alt(named))),
    element('div', { class: 'stage' }, frame),
    element('section', { class: 'panel', 'aria-label': words.people }, element('h2', {}, words.people),
      rows.length ? element('ul', { class: 'picker' }, rows) : element('p', { class: 'soft' }, reason(photo)),
      element('div', { class: 'actions' }, rows.length > 0 && toggle, manages && drawing(frame, photo, app), original(photo))))
  arrows(root.querySelector('.stage'), turning)
}

const reason = ({ status }) => ({ failed: words.failed, pending: words.pending })[status] ?? words.nobody

function original(photo) {
  const link = element('a', { class: 'button', download: photo.path.split('/').at(-1), target: '_blank', rel: 'noopener' }, words.download)
  addressOf(photo, true).then((address) => { link.href = address }, () => link.remove())
  return link
}

/** Arrow keys, also while the photo is still coming. Returns { around, turn }. */
function turns(app, signal) {
  const { event, id, query } = app
  const around = neighbours(app, id).catch(() => ({}))
  const turn = async (side) => {
    const media_id = (await around)[side]
    if (media_id && !signal.aborted) step(to('photo', event, media_id, query))
  }
  addEventListener('keydown', (pressed) => {
    if (pressed.target.closest?.('input, dialog') || pressed.altKey || pressed.ctrlKey || pressed.metaKey) return
    if (pressed.key === 'ArrowLeft') turn('before')
    if (pressed.key === 'ArrowRight') turn('after')
  }, { signal })
  return { around, turn }
}

/** Swipes, and visible buttons. */
async function arrows(stage, { around, turn }) {
  let from
  stage.addEventListener('touchstart', ({ touches }) => { from = touches.length === 1 ? touches[0] : undefined }, { passive: true })
  stage.addEventListener('touchend', ({ changedTouches: [{ clientX, clientY }], target }) => {
    if (!from || target.closest('.draw-layer')) return
    const across = clientX - from.clientX
    if (Math.abs(across) > SWIPE_PX && Math.abs(across) > 2 * Math.abs(clientY - from.clientY)) turn(across > 0 ? 'before' : 'after')
  })
  const { before, after } = await around
  stage.append(...[
    before && iconButton('back', words.previous, () => turn('before'), { class: 'icon-button turn previous' }),
    after && iconButton('next', words.next, () => turn('after'), { class: 'icon-button turn next' }),
  ].filter(Boolean))
}

/** Whose face this is, and what else can be said of it. */
async function askWho(face, known, photo, app) {
  const { act, client, event, refresh } = app
  const { face_id, person_id } = face
  const actions = [
    ...(known ? [{ label: words.allOf(known.name), value: 'open' }, { label: words.not(known.name), value: 'not' }] : []),
    { label: words.noFace, value: 'no face' }]
  const answer = await choosePerson(known?.name ?? words.who, { client, event, without: person_id, face: { ...photo, ...face }, fresh: true, actions })
  if (!answer) return
  if (answer === 'open') return go(to('person', event, person_id))
  const done = await (answer === 'not' ? act(words.notSaid(known.name), () => client.rejectFace({ face_id, person_id }))
    : answer === 'no face' ? act(words.noFaceSaid, () => client.dismissFace({ face_id }))
      : answer.person ? isNow(face, known, answer.person, app)
        : isNew(face, known, answer.name, app))
  if (done) refresh()
}

/** This face alone; where its person has no name yet, all of that person may be meant. */
function isNow({ face_id }, known, person, { act, client, refresh }) {
  const all = async () => {
    const merged = await act(texts.person.merged, () => client.mergePeople({ into: person.person_id, from: [known.person_id] }))
    if (merged) refresh()
  }
  const more = known && !known.name && known.face_count > 1 ? [{ label: words.all(known.face_count), onclick: all }] : []
  return act(words.isNow(person.name), () => client.assignFace({ face_id, person_id: person.person_id }), { more: () => more })
}

/** A name for whoever has none; else this face is somebody new. */
function isNew({ face_id }, known, name, { act, client }) {
  if (known && !known.name) return act(texts.naming.named(name), () => client.renamePerson({ person_id: known.person_id, name }))
  return act(texts.naming.named(name), async () => {
    const made = await client.assignFace({ face_id })
    return [made, await client.renamePerson({ person_id: made.person_id, name })]
  })
}

/** The button that lets one draw a box, and what is said meanwhile. */
function drawing(frame, photo, app) {
  const { act, client, event, refresh } = app
  const said = element('p', { class: 'soft', hidden: true }, words.drawText)
  let drawn
  const end = () => { drawn?.end(); drawn = undefined; said.hidden = goOn.hidden = cancel.hidden = true; start.hidden = false }
  const done = async (bbox) => {
    const answer = await choosePerson(words.who, { client, event, face: { ...photo, bbox }, fresh: true })
    if (!answer) return
    end()
    const add = async () => {
      const face = await client.addFace({ media_id: photo.media_id, bbox, person: answer.person?.person_id ?? null })
      if (answer.person) return face
      const made = await client.assignFace({ face_id: face.face_id })
      return [face, made, await client.renamePerson({ person_id: made.person_id, name: answer.name })]
    }
    if (await act(words.drawn, add)) refresh()
  }
  const start = button(words.draw, () => {
    said.hidden = goOn.hidden = cancel.hidden = false
    start.hidden = true
    drawn = drawBox(frame, done)
  })
  const goOn = button(words.goOn, () => done(drawn.bbox()), { class: 'primary', hidden: true })
  const cancel = button(texts.cancel, end, { hidden: true })
  return [said, start, goOn, cancel]
}
