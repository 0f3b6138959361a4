// The original photos of a person, as one ZIP, or several where they are very many.
import { addressOf, client, h, tell, texts, toast } from './kit.js'
import { Zip } from './zip.js'

const MOST_BYTES = 500_000_000 // in one file
const { person: words } = texts

/** `said` is the button: it tells how far it came. */
export async function downloadAll({ person_id, name }, said, signal) {
  said.disabled = true
  try {
    const photos = await client.all('personPhotos', { person_id, limit: 500 })
    for (const photo of photos) addressOf(photo, true).catch(() => {}) // asked for together
    let zip = new Zip(), missing = 0
    for (const [n, photo] of photos.entries()) {
      said.textContent = words.downloading(n + 1, photos.length)
      const bytes = await bytesOf(photo, signal)
      if (signal.aborted) return
      if (bytes) zip.add(photo.path.split('/').at(-1), bytes)
      else missing += 1
      if (zip.size > MOST_BYTES) zip = save(zip, name)
    }
    if (zip.size) save(zip, name)
    toast(missing ? words.missing(missing) : words.downloaded(photos.length))
  } catch (error) {
    tell(error)
  } finally {
    said.disabled = false
    said.textContent = words.download
  }
}

async function bytesOf(photo, signal) {
  try {
    const answer = await fetch(await addressOf(photo, true), { signal })
    return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : null
  } catch {
    return null
  }
}

/** Answers an empty one. */
function save(zip, name) {
  const address = URL.createObjectURL(zip.blob())
  h('a', { href: address, download: `${name ?? texts.app}.zip` }).click()
  setTimeout(() => URL.revokeObjectURL(address), 60_000)
  return new Zip()
}
