// Pictures by signed addresses: one request for all that are wanted at the same moment.
import { faceStyle } from '/clients/memoria.js'
import { config } from '/config.js'
import { element } from './dom.js'
import { request } from './session.js'

const GOOD_SECONDS = 3600
const MOST = 500 // in one request
const known = new Map() // bucket/path -> { address: promise, until }
let wanted = []

/** Where a photo, or the photo of a face, can be had: its preview, where there is one. */
export function addressOf({ bucket, path, preview_path }, original = false) {
  const name = original ? path : preview_path ?? path
  const found = known.get(`${bucket}/${name}`)
  if (found && found.until > Date.now()) return found.address
  const address = new Promise((resolve, reject) => {
    if (!wanted.length) setTimeout(sign, 20)
    wanted.push({ bucket, name, resolve, reject })
  })
  known.set(`${bucket}/${name}`, { address, until: Date.now() + (GOOD_SECONDS - 300) * 1000 })
  address.catch(() => known.delete(`${bucket}/${name}`))
  return address
}

async function sign() {
  const all = wanted
  wanted = []
  for (const [bucket, asked] of Map.groupBy(all, ({ bucket }) => bucket)) {
    for (let from = 0; from < asked.length; from += MOST) signSome(bucket, asked.slice(from, from + MOST))
  }
}

async function signSome(bucket, asked) {
  try {
    const paths = asked.map(({ name }) => name)
    const signed = await request(`/storage/v1/object/sign/${encodeURIComponent(bucket)}`, { body: { expiresIn: GOOD_SECONDS, paths } })
    asked.forEach(({ resolve, reject }, n) => {
      if (signed[n].signedURL) resolve(`${config.supabaseUrl}/storage/v1${encodeURI(signed[n].signedURL)}`)
      else reject(new Error(signed[n].error))
    })
  } catch (error) {
    for (const { reject } of asked) reject(error)
  }
}

async function load(photo) {
  for (const original of photo.preview_path ? [false, true] : [true]) {
    try {
      const image = new Image()
      image.src = await addressOf(photo, original)
      await image.decode()
      return image
    } catch { /* the preview is gone: the original then */ }
  }
  return null
}

/** A picture of the face, in a square or round element of any size. */
export function faceOf(cover, attributes = {}) {
  const shown = element('span', { ...attributes, class: `face ${attributes.class ?? ''}`, 'aria-hidden': 'true' })
  if (cover) {
    load(cover).then((image) => {
      if (!image) return
      const size = { width: image.naturalWidth, height: image.naturalHeight }
      Object.assign(shown.style, faceStyle({ ...cover, ...size }, image.src))
      shown.classList.add('ready')
    })
  }
  return shown
}

/** A photo, in an element that has its shape before it is there. */
export function photoOf(photo, alt, attributes = {}) {
  const { width, height } = photo
  const image = element('img', { alt, width, height, decoding: 'async', ...attributes })
  const show = async (original) => {
    try {
      image.src = await addressOf(photo, original)
    } catch {
      image.dispatchEvent(new Event('error'))
    }
  }
  let tried = !photo.preview_path
  image.addEventListener('load', () => image.classList.add('ready'))
  image.addEventListener('error', () => {
    if (tried) return image.classList.add('missing')
    tried = true
    show(true)
  })
  show(false)
  return image
}

/** A square of the photo, around the face that it is shown for, as a link. */
export function photoTile(photo, href, alt) {
  const image = photoOf(photo, alt)
  const [face] = photo.faces
  if (face) image.style.objectPosition = `${100 * (face.bbox.x + face.bbox.w / 2)}% ${100 * (face.bbox.y + face.bbox.h / 2)}%`
  return element('a', { class: 'tile', href }, image)
}
