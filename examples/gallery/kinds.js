// What a picture is by its name, and what stands in the place of one that does not come.
import { h } from './dom.js'
import { texts } from './texts.js'

const SHOWN = ['', '.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.gif', '.avif', '.bmp']

/** Of a path: `.jpg`, or nothing. */
export const endingOf = (path) => /\.\w+$/.exec(path)?.[0].toLowerCase() ?? ''

/** In the place of a picture that this browser does not show; alt: what it would have said. */
export function unshown(path, alt) {
  const ending = endingOf(path)
  const said = texts.unshown(SHOWN.includes(ending) ? null : ending.slice(1).toUpperCase())
  return h('span.unshown', { role: 'img', label: alt ? `${said}: ${alt}` : said }, said)
}
