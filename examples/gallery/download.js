// The original photos of a person, as one ZIP, or several where they are very many.
import { addressOf, button, client, endingOf, h, lastingToast, tell, texts } from './kit.js'
import { downloadZip } from './vendor/client-zip.js'

const MOST_BYTES = 500_000_000 // in one file
const { person: words } = texts
const going = new Map() // person_id -> the button, which tells how far it came

addEventListener('beforeunload', (leaving) => going.size && leaving.preventDefault())

/** The button for it. What was begun goes on while one looks at other pages. */
export function downloadButton(person) {
  const begin = () => {
    going.set(person.person_id, shown)
    return downloadAll(person, shown).catch(tell).finally(() => {
      going.delete(person.person_id)
      shown.textContent = words.download
    })
  }
  const shown = going.get(person.person_id) ?? button(words.download, begin)
  return shown
}

async function downloadAll({ person_id, name }, said) {
  const title = (name ?? texts.app).replace(/[\\/:]/g, ' ') // no folder of an archive
  let files = [], size = 0, missing = 0
  const photos = await client.all('personPhotos', { person_id, limit: 500 })
  for (const photo of photos) addressOf(photo, true).catch(() => {}) // asked for together
  for (const [n, photo] of photos.entries()) {
    said.textContent = words.downloading(n + 1, photos.length)
    const input = await original(photo)
    if (input) files.push({ name: `${title} ${n + 1}${endingOf(photo.path)}`, input })
    else missing += 1
    size += input?.size ?? 0
    if (size < MOST_BYTES) continue
    await save(files, title)
    files = []
    size = 0
  }
  if (files.length) await save(files, title)
  lastingToast(missing ? words.missing(missing) : words.downloaded(photos.length))
}

async function original(photo) {
  try {
    const answer = await fetch(await addressOf(photo, true))
    return answer.ok ? await answer.blob() : null // which may lie on the disk
  } catch {
    return null
  }
}

async function save(files, title) {
  const address = URL.createObjectURL(await downloadZip(files).blob())
  h('a', { href: address, download: `${title}.zip` }).click()
  setTimeout(() => URL.revokeObjectURL(address), 60_000)
}
