// A box drawn over a photo: by pointer, or by the arrow keys.
import { boxStyle, h, setStyle } from './dom.js'
import { texts } from './texts.js'

const LEAST = 0.02, STEP = 0.02
const STEPS = {
  ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP],
}
const within = (value, least, most) => Math.min(Math.max(value, least), most)

/** Lets one draw over the frame; done(bbox) when a box is drawn. Answers { bbox(), end() }. */
export function drawBox(frame, done) {
  let box = { x: 0.4, y: 0.35, w: 0.2, h: 0.3 }, start, before
  const set = (changed) => {
    box = { ...box, ...changed }
    setStyle(shown, boxStyle(box))
  }
  const onkeydown = (pressed) => {
    const [dx, dy] = STEPS[pressed.key] ?? []
    if (dx === undefined && pressed.key !== 'Enter') return
    pressed.preventDefault() // or Enter would be pressed in the dialog, too
    pressed.stopPropagation() // not the next photo
    const { x, y, w, h: high } = box
    if (dx === undefined) return pressed.repeat || done(box)
    if (!pressed.shiftKey) set({ x: within(x + dx, 0, 1 - w), y: within(y + dy, 0, 1 - high) })
    else set({ w: within(w + dx, LEAST, 1 - x), h: within(high + dy, LEAST, 1 - y) })
  }
  const at = ({ clientX, clientY }) => {
    const { left, top, width, height } = frame.getBoundingClientRect()
    return { x: within((clientX - left) / width, 0, 1), y: within((clientY - top) / height, 0, 1) }
  }
  const onpointerdown = (event) => {
    start = at(event)
    before = box
    layer.setPointerCapture(event.pointerId)
    event.preventDefault()
  }
  const onpointermove = (event) => {
    if (!start) return
    const { x, y } = at(event)
    const corner = { x: Math.min(x, start.x), y: Math.min(y, start.y) }
    set({ ...corner, w: Math.abs(x - start.x), h: Math.abs(y - start.y) })
  }
  const onpointerup = ({ type }) => {
    start = undefined
    if (box === before) return // a mere tap
    if (type === 'pointerup' && box.w >= LEAST && box.h >= LEAST) done(box)
    else set(before)
  }
  const about = { label: texts.photo.drawBox, 'aria-describedby': 'how-to-draw', role: 'group' }
  const shown = h('div.box.drawing', { ...about, tabindex: 0, onkeydown })
  const layer = h('div.draw-layer',
    { onpointerdown, onpointermove, onpointerup, onpointercancel: onpointerup }, shown)
  set({})
  frame.append(layer)
  shown.focus()
  return { bbox: () => box, end: () => layer.remove() }
}
