// What a picture is by its name, and what stands in the place of one that does not come.
import { h } from './dom.js'
import { texts } from './texts.js'

const RARE = /^\.(hei[cf]|hif|tiff?|jp2|dng|cr[23]|nef|arw|raf|rw2|orf)$/ // not in every browser

/** Of a path: `.jpg`, or nothing. */
export const endingOf = (path) => /\.\w+$/.exec(path)?.[0].toLowerCase() ?? ''

/** In the place of a picture that this browser does not show; alt: what it would have said. */
export function unshown(path, alt) {
  const ending = endingOf(path)
  const said = texts.unshown(RARE.test(ending) ? ending.slice(1).toUpperCase() : null)
  return h('span.unshown', { role: 'img', label: alt ? `${said}: ${alt}` : said }, said)
}
