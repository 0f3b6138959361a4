// Pictures by signed addresses: one request for all that are wanted at the same moment.
import { faceStyle } from '/clients/memoria.js'
import { config } from '/config.js'
import { h, icon } from './dom.js'
import { unshown } from './kinds.js'
import { request } from './session.js'

const GOOD_SECONDS = 3600, MOST = 500 // in one request
const known = new Map() // bucket/path -> { address: promise, until }
let wanted = []

/** Where a photo, or the photo of a face, can be had: its preview, where there is one. */
export function addressOf({ bucket, path, preview_path }, original = false) {
  const name = original ? path : preview_path ?? path, place = `${bucket}/${name}`
  const found = known.get(place)
  if (found && found.until > Date.now()) return found.address
  const address = new Promise((resolve, reject) => {
    if (!wanted.length) setTimeout(sign, 20)
    wanted.push({ bucket, name, resolve, reject })
  })
  known.set(place, { address, until: Date.now() + (GOOD_SECONDS - 300) * 1000 })
  address.catch(() => known.delete(place))
  return address
}

function sign() {
  for (const [bucket, asked] of Map.groupBy(wanted, (one) => one.bucket)) {
    while (asked.length) signSome(bucket, asked.splice(0, MOST))
  }
  wanted = []
}

async function signSome(bucket, asked) {
  try {
    const body = { expiresIn: GOOD_SECONDS, paths: asked.map(({ name }) => name) }
    const signed = await request(`/storage/v1/object/sign/${encodeURIComponent(bucket)}`, body)
    for (const [n, { resolve, reject }] of asked.entries()) {
      const { signedURL, error } = signed[n]
      if (signedURL) resolve(`${config.supabaseUrl}/storage/v1${encodeURI(signedURL)}`)
      else reject(new Error(error))
    }
  } catch (error) {
    for (const { reject } of asked) reject(error)
  }
}

/** Answers whether the picture is there now: the preview, or else the original. */
async function load(image, photo) {
  for (const original of photo.preview_path ? [false, true] : [true]) {
    try {
      image.src = await addressOf(photo, original)
      await image.decode()
      return true
    } catch { /* the preview is gone: the original then */ }
  }
  return false
}

/** A picture of the face, in a square element of any size; kind: round. Else a mark for one. */
export function faceOf(cover, kind = '') {
  const shown = h('span', { class: `face ${kind}`, 'aria-hidden': 'true' })
  const image = new Image(), loaded = cover ? load(image, cover) : Promise.resolve(false)
  loaded.then((there) => {
    if (!there) return shown.append(icon('person'))
    const size = { width: image.naturalWidth, height: image.naturalHeight }
    Object.assign(shown.style, faceStyle({ ...cover, ...size }, image.src))
    shown.classList.add('ready')
  })
  return shown
}

/** A photo, in an element that has its shape before it is there. */
function photoOf(photo, alt, style = {}) {
  const { width, height } = photo
  const image = h('img', { alt, width, height, decoding: 'async', style })
  load(image, photo).then((there) => {
    if (there) image.classList.add('ready')
    else image.replaceWith(unshown(photo.preview_path ?? photo.path, alt))
  })
  return image
}

/** A whole photo, and what lies over it. */
export const framed = (photo, alt, ...over) =>
  h('div.frame', { style: { '--ratio': (photo.width || 3) / (photo.height || 2) } },
    photoOf(photo, alt), over)

/** A square of the photo, around the face that it is shown for, as a link. */
export function photoTile(photo, href, alt) {
  const { x, y, w, h: high } = photo.faces[0]?.bbox ?? { x: 0, y: 0, w: 1, h: 1 }
  const middle = `${100 * (x + w / 2)}% ${100 * (y + high / 2)}%`
  return h('a.tile', { href }, photoOf(photo, alt, { 'object-position': middle }))
}
