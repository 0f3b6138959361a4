// The original photos of a person, as one ZIP, or several where they are very many.
import { addressOf, client, endingOf, h, tell, texts, toast } from './kit.js'
import { downloadZip } from './vendor/client-zip.js'

const MOST_BYTES = 500_000_000 // in one file
const { person: words } = texts

/** `said` is the button: it tells how far it came. */
export async function downloadAll({ person_id, name }, said, signal) {
  const title = (name ?? texts.app).replace(/[\\/:]/g, ' ') // no folder of an archive
  let files = [], size = 0, missing = 0
  said.disabled = true
  try {
    const photos = await client.all('personPhotos', { person_id, limit: 500 })
    for (const photo of photos) addressOf(photo, true).catch(() => {}) // asked for together
    for (const [n, photo] of photos.entries()) {
      said.textContent = words.downloading(n + 1, photos.length)
      const input = await original(photo, signal)
      if (signal.aborted) return
      if (input) files.push({ name: `${title} ${n + 1}${endingOf(photo.path)}`, input })
      else missing += 1
      size += input?.size ?? 0
      if (size < MOST_BYTES) continue
      await save(files, title)
      files = []
      size = 0
    }
    if (files.length) await save(files, title)
    toast(missing ? words.missing(missing) : words.downloaded(photos.length))
  } catch (error) {
    tell(error)
  } finally {
    said.disabled = false
    said.textContent = words.download
  }
}

async function original(photo, signal) {
  try {
    const answer = await fetch(await addressOf(photo, true), { signal })
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
