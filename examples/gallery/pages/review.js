// Questions that the app asks, as cards: one person or two, and whose face this is.
import { announce, button, dialog, element, toast } from '../dom.js'
import { placeBox } from '../draw.js'
import { choosePerson } from '../names.js'
import { faceOf, photoOf } from '../photos.js'
import { to } from '../router.js'
import { texts } from '../texts.js'

const BATCH = 20
const FACES = 3
const { review: words } = texts

export async function show(root, app, signal) {
  const { client, event, query } = app
  const photos = new Map() // media_id -> promise of a photo
  const ask = (media_id) => client.photo({ media_id }).catch((error) => {
    photos.delete(media_id) // asked for again the next time
    throw error
  })
  const photo = (media_id) => photos.get(media_id) ?? photos.set(media_id, ask(media_id)).get(media_id)
  const answered = [] // { id, change_id }, for z
  const settled = new Set()
  let queue = [], all = 0, choose = () => {}, busy

  const place = element('div', { class: 'card-place' })
  const progress = element('p', { class: 'soft progress' })
  const link = element('a', { class: 'button quiet', href: to('history', event) }, words.history)
  root.append(element('div', { class: 'heading' }, element('div', {}, element('h1', {}, words.title), progress), link), place)

  async function load() {
    const { total, suggestions } = await client.suggestions({ event_id: event, person_id: query.get('person'), limit: BATCH })
    queue = suggestions.filter(({ id }) => !settled.has(id))
    all = settled.size + total
  }

  async function next() {
    if (!queue.length) await load()
    const [question, following] = queue
    choose = () => {}
    const card = question ? await build(question)
      : element('div', { class: 'empty' }, element('h2', {}, words.none), element('p', {}, words.noneText))
    progress.textContent = question ? words.progress(settled.size + 1, all) : ''
    place.replaceChildren(card)
    const heading = card.querySelector('h2')
    heading.tabIndex = -1
    if (answered.length) heading.focus({ preventScroll: true })
    const soon = (following?.evidence ?? []).flatMap(({ media_id, other_media_id }) => [media_id, other_media_id])
    soon.forEach((media_id) => photo(media_id).catch(() => {}))
  }

  /** One thing at a time, and no answer to a card that nobody has seen. work() answers whether the next card may come. */
  const alone = (work) => busy ??= work().then((on) => on && next()).catch(stuck).finally(() => { busy = undefined })

  function stuck(error) {
    choose = () => {}
    place.replaceChildren(button(texts.tryAgain, () => alone(async () => true), { class: 'primary' }))
    app.tell(error)
  }

  /** What a button or a key does; the second click of a double one was not meant for the next card. */
  const give = (question, given, person_id) => (clicked) => {
    if (!(clicked?.detail > 1)) alone(() => answer(question, given, person_id))
  }

  async function answer(question, given, person_id) {
    const { id, kind, face, candidates } = question
    const offered = !person_id || candidates.some((candidate) => candidate.person_id === person_id)
    const said = (kind === 'same_person' ? words.said : words.saidWho)[given]
    try {
      const { change_id } = await (offered ? client.answerSuggestion({ id, answer: given, person_id })
        : client.assignFace({ face_id: face.face_id, person_id }))
      answered.push({ id, change_id })
      toast(said, { label: texts.undo, onclick: undo })
    } catch (error) {
      if (error.code !== 'suggestion_gone' && error.code !== 'not_found') return app.tell(error)
      announce(words.gone)
    }
    settled.add(id)
    queue = given === 'same' ? [] : queue.filter((one) => one !== question) // with the same person others may have changed
    return true
  }

  const undo = async () => {
    await busy
    await alone(takeBack)
  }

  async function takeBack() {
    const last = answered.pop()
    if (!last) return toast(words.nothingToUndo)
    try {
      if (last.change_id) await client.undo({ change_id: last.change_id })
    } catch (error) {
      answered.push(last)
      return app.tell(error)
    }
    settled.delete(last.id)
    toast(texts.undone)
    await load()
    queue.sort((a, b) => (b.id === last.id) - (a.id === last.id)) // the one that was taken back comes first
    return true
  }

  const build = (question) => question.kind === 'same_person' ? same(question) : who(question)

  async function same(question) {
    const { into, from, evidence } = question
    const ours = evidence.map(({ media_id, bbox }) => ({ media_id, bbox }))
    const theirs = evidence.map(({ other_media_id, other_bbox }) => ({ media_id: other_media_id, bbox: other_bbox }))
    const say = (given) => give(question, given)
    choose = (key) => ({ s: say('same'), d: say('different'), n: say('not_sure') })[key]?.()
    return element('article', { class: 'card' }, element('h2', {}, words.same),
      await facesOf(into, ours), await facesOf(from, theirs),
      element('div', { class: 'answers' },
        button(words.yes, say('same'), { class: 'primary', 'aria-keyshortcuts': 's' }),
        button(words.no, say('different'), { 'aria-keyshortcuts': 'd' }),
        button(words.notSure, say('not_sure'), { class: 'quiet', 'aria-keyshortcuts': 'n' }),
        button(words.nobodyPerson, say('nobody'), { class: 'quiet' })),
      element('p', { class: 'soft keys' }, words.keys))
  }

  /** A row of three faces of a person; each opens its photo. */
  async function facesOf(person, shown) {
    const seen = new Set(shown.map(({ media_id }) => media_id))
    const cover = person.cover && !seen.has(person.cover.media_id) ? [person.cover] : []
    const unique = shown.filter(({ media_id }, n) => shown.findIndex((other) => other.media_id === media_id) === n)
    const faces = await Promise.all([...unique, ...cover].slice(0, FACES).map(async (face) => ({ ...await photo(face.media_id), ...face })))
    return element('div', { class: 'trio' },
      element('p', {}, element('a', { href: to('person', event, person.person_id) }, person.name ?? texts.unnamed), ' ',
        element('small', {}, texts.photos(person.face_count))),
      element('div', {}, faces.map(tappable)))
  }

  const tappable = (face) => element('button', { type: 'button', class: 'bare', 'aria-label': words.look, onclick: () => whole(face) }, faceOf(face))

  async function who(question) {
    const { face, candidates } = question
    const covers = await Promise.all(candidates.map(({ person_id }) => client.personPhotos({ person_id, limit: 1 })))
    const say = (given, person_id) => give(question, given, person_id)
    const other = async () => {
      const chosen = await choosePerson(words.who, { client, event, face })
      if (chosen) say('same', chosen.person.person_id)()
    }
    choose = (key) => candidates[key - 1] ? say('same', candidates[key - 1].person_id)()
      : ({ d: say('different'), n: say('not_sure') })[key]?.()
    return element('article', { class: 'card' }, element('h2', {}, words.who), element('div', { class: 'one' }, tappable(face)),
      element('ul', { class: 'picker' }, covers.map((person, n) => element('li', {}, element('button', { type: 'button', class: 'row',
        onclick: say('same', candidates[n].person_id), 'aria-keyshortcuts': n + 1 }, faceOf(person.cover, { class: 'round' }),
      element('span', {}, person.name ?? texts.unnamed), element('small', {}, texts.photos(person.face_count)))))),
      element('div', { class: 'answers' },
        button(words.none_of, say('different'), { 'aria-keyshortcuts': 'd' }),
        button(words.someone, other),
        button(words.notSure, say('not_sure'), { class: 'quiet', 'aria-keyshortcuts': 'n' }),
        button(words.nobodyFace, say('nobody'), { class: 'quiet' })),
      element('p', { class: 'soft keys' }, words.keysWho))
  }

  await load()
  await next()
  addEventListener('keydown', (pressed) => {
    if (pressed.repeat || pressed.target.closest?.('input, dialog') || pressed.altKey || pressed.ctrlKey || pressed.metaKey) return
    const key = pressed.key.toLowerCase()
    if (key === 'z') undo()
    else choose(key)
  }, { signal })
}

const whole = (face) => dialog(words.whole, (close) => {
  const box = element('div', { class: 'box lit' })
  placeBox(box, face.bbox)
  const frame = element('div', { class: 'frame boxes' }, photoOf(face, words.whole), box)
  frame.style.setProperty('--ratio', (face.width || 3) / (face.height || 2))
  return element('div', {}, frame, element('div', { class: 'sheet-actions' }, button(texts.close, () => close(null))))
})
