// A box drawn over a photo: by pointer, or by the arrow keys.
import { element } from './dom.js'
import { texts } from './texts.js'

const LEAST = 0.02
const STEP = 0.02
const STEPS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }
const within = (value, least, most) => Math.min(Math.max(value, least), most)

/** Puts a box with fractions of the frame as its style. */
export function placeBox(shown, { x, y, w, h }) {
  Object.assign(shown.style, { left: `${100 * x}%`, top: `${100 * y}%`, width: `${100 * w}%`, height: `${100 * h}%` })
}

/** Lets one draw over the frame; done(bbox) when a box is drawn. Returns { bbox(), end() }. */
export function drawBox(frame, done) {
  let box = { x: 0.4, y: 0.35, w: 0.2, h: 0.3 }, start, before
  const shown = element('div', { class: 'box drawing', tabindex: 0, role: 'group', 'aria-label': texts.photo.drawBox,
    onkeydown: (event) => {
      if (event.key === 'Enter') {
        event.preventDefault() // or it would be pressed in the dialog, too
        if (!event.repeat) done(box)
      }
      const [dx, dy] = STEPS[event.key] ?? []
      if (dx === undefined) return
      event.preventDefault()
      event.stopPropagation() // not the next photo
      if (event.shiftKey) set({ ...box, w: within(box.w + dx, LEAST, 1 - box.x), h: within(box.h + dy, LEAST, 1 - box.y) })
      else set({ ...box, x: within(box.x + dx, 0, 1 - box.w), y: within(box.y + dy, 0, 1 - box.h) })
    } })
  const set = (next) => { box = next; placeBox(shown, box) }
  const at = ({ clientX, clientY }) => {
    const { left, top, width, height } = frame.getBoundingClientRect()
    return { x: within((clientX - left) / width, 0, 1), y: within((clientY - top) / height, 0, 1) }
  }
  const layer = element('div', { class: 'draw-layer',
    onpointerdown: (event) => { start = at(event); before = box; layer.setPointerCapture(event.pointerId); event.preventDefault() },
    onpointermove: (event) => {
      if (!start) return
      const { x, y } = at(event)
      set({ x: Math.min(x, start.x), y: Math.min(y, start.y), w: Math.abs(x - start.x), h: Math.abs(y - start.y) })
    },
    onpointerup: () => {
      start = undefined
      if (box === before) return // a mere tap
      if (box.w >= LEAST && box.h >= LEAST) done(box)
      else set(before)
    },
    onpointercancel: () => { start = undefined; set(before) } }, shown)
  set(box)
  frame.append(layer)
  shown.focus()
  return { bbox: () => box, end: () => layer.remove() }
}
