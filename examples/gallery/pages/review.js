// Questions that the app asks, as cards: one person or two, and whose face this is.
import {
  boxStyle, button, choosePerson, client, dialog, faceOf, framed, h, here, onKey, personRow,
  tell, texts, to, toast,
} from '../kit.js'

const BATCH = 20, FACES = 3
const { review: words } = texts

export async function show(root, { event, query }, signal) {
  const photos = new Map() // media_id -> promise of a photo
  const answered = [] // { id, change_id }, for z
  const settled = new Set(), begun = here()
  const announce = (...told) => begun.sameEvent() && toast(...told)
  let queue = [], all = 0, choices = {}, busy

  const place = h('div'), progress = h('p.soft')
  root.append(h('div.heading', h('div', h('h1', words.title), progress),
    h('a.button.quiet', { href: to('history', event) }, texts.history.title)), place)

  function photo(media_id) {
    const asked = photos.get(media_id) ?? client.photo({ media_id })
    photos.set(media_id, asked)
    asked.catch(() => photos.delete(media_id)) // asked for again the next time
    return asked
  }

  async function load() {
    const asked = { event_id: event, person_id: query.get('person'), limit: BATCH }
    const { total, suggestions } = await client.suggestions(asked)
    queue = suggestions.filter(({ id }) => !settled.has(id))
    all = settled.size + total
  }

  async function next() {
    if (!queue.length) await load()
    const [question, following] = queue
    choices = {}
    const card = await (!question ? h('div.empty', h('h2', words.none), h('p', words.noneText))
      : question.kind === 'same_person' ? same(question) : who(question))
    progress.textContent = question ? words.progress(settled.size + 1, all) : ''
    const first = !place.firstChild
    place.replaceChildren(card)
    const title = card.querySelector('h2')
    title.tabIndex = -1
    if (!first) title.focus({ preventScroll: true })
    const soon = following?.evidence?.flatMap((one) => [one.media_id, one.other_media_id]) ?? []
    for (const media_id of soon) photo(media_id).catch(() => {})
  }

  /** One thing at a time: no answer to a card that nobody has seen. work(): may the next come? */
  const alone = (work) => busy ??= work().then((on) => on && next()).catch(stuck)
    .finally(() => { busy = undefined })

  function stuck(error) {
    choices = {}
    queue = [] // somebody else may have settled what is in it
    place.replaceChildren(button(texts.tryAgain, () => alone(async () => true), 'primary'))
    if (!signal.aborted) tell(error)
  }

  async function answer({ id, kind, face, candidates }, given, person_id) {
    const offered = !person_id || candidates.some((one) => one.person_id === person_id)
    try {
      const { change_id } = await (offered
        ? client.answerSuggestion({ id, answer: given, person_id })
        : client.assignFace({ face_id: face.face_id, person_id }))
      answered.push({ id, change_id })
      announce(said(kind)[given], [texts.undo, undo])
    } catch (error) {
      const gone = error.code === 'suggestion_gone' || error.code === 'not_found'
      if (!gone) return tell(error, null, begun)
      announce(words.gone)
    }
    settled.add(id)
    // with the same person others may have changed
    queue = given === 'same' ? [] : queue.filter((one) => one.id !== id)
    return true
  }

  async function undo() {
    await busy
    await alone(takeBack)
  }

  async function takeBack() {
    const last = answered.at(-1)
    if (!last) return announce(words.nothingToUndo)
    const { id, change_id } = last
    const failed = (error) => tell(error, undo, begun)
    if (change_id && !await client.undo({ change_id }).catch(failed)) return false
    answered.pop()
    settled.delete(id)
    announce(texts.undone)
    await load()
    queue.sort((a, b) => (b.id === id) - (a.id === id)) // that one comes first
    return true
  }

  /** say(given) answers what a button or a key does; a second click was not for the next card. */
  const saying = (question) => (given, person_id) => (clicked) => {
    if (!(clicked?.detail > 1)) alone(() => answer(question, given, person_id))
  }

  /** A button that a key presses, too. */
  function choice(key, label, onclick, kind) {
    choices[key] = onclick
    return button(label, onclick, { class: kind, 'aria-keyshortcuts': key })
  }

  const card = (title, keys, content, ...answers) => h('article.card', h('h2', title), content,
    h('div.answers', answers), h('p.soft.keys', keys))

  async function same(question) {
    const { into, from, evidence } = question, say = saying(question)
    const theirs = evidence.map((one) => ({ media_id: one.other_media_id, bbox: one.other_bbox }))
    const rows = await Promise.all([facesOf(into, evidence), facesOf(from, theirs)])
    return card(words.same, words.keys, rows,
      choice('s', words.yes, say('same'), 'primary'),
      choice('d', words.no, say('different')),
      choice('n', words.notSure, say('not_sure'), 'quiet'),
      button(words.nobodyPerson, say('nobody'), 'quiet'))
  }

  /** A row of three faces of a person; each opens its photo. */
  async function facesOf({ person_id, name, cover, face_count }, shown) {
    const faces = new Map([...shown, ...(cover ? [cover] : [])].map((one) => [one.media_id, one]))
    const first = await Promise.all([...faces.values()].slice(0, FACES)
      .map(async ({ media_id, bbox }) => ({ ...await photo(media_id), bbox })))
    const link = h('a', { href: to('person', event, person_id) }, name ?? texts.unnamed)
    return h('div.trio', h('p', link, ' ', h('small', texts.faces(face_count))),
      h('div', first.map((face, n) => tappable(face, words.look(n + 1, name)))))
  }

  async function who(question) {
    const { face, candidates } = question, say = saying(question)
    const covers = await Promise.all(
      candidates.map(({ person_id }) => client.personPhotos({ person_id, limit: 1 })))
    const other = async () => {
      const chosen = await choosePerson(words.who, event, { face })
      if (chosen) say('same', chosen.person.person_id)()
    }
    const rows = covers.map((person, n) => {
      const mine = say('same', candidates[n].person_id)
      choices[n + 1] = mine
      return h('li', personRow(person, mine, { 'aria-keyshortcuts': n + 1 }))
    })
    const shown = [h('div.one', tappable(face, words.whole)), h('ul.picker', rows)]
    return card(words.who, words.keysWho, shown,
      choice('d', words.noneOf, say('different')),
      button(words.someone, other),
      choice('n', words.notSure, say('not_sure'), 'quiet'),
      button(words.nobodyFace, say('nobody'), 'quiet'))
  }

  await load()
  await next()
  onKey(({ key, repeat }) => {
    const does = { ...choices, z: undo }[key.toLowerCase()]
    if (does && !repeat) does()
  }, signal)
}

const said = (kind) => ({
  not_sure: words.later, nobody: words.never,
  ...(kind === 'same_person' ? { same: words.yes, different: words.no }
    : { same: words.named, different: words.noneOf }),
})

const tappable = (face, label) =>
  button(faceOf(face), () => whole(face), { class: 'bare', label })

function whole(face) {
  const box = h('div.box.lit', { style: boxStyle(face.bbox) })
  dialog(words.whole, () => framed(face, words.whole, box), [], texts.close)
}
