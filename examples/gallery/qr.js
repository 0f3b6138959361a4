// A QR code of a text of up to 213 bytes: byte mode, level M, versions 1 to 10 (ISO/IEC 18004).
import { h } from './dom.js'

// by version: error correction bytes of a block, blocks, bytes in all, places of alignment patterns
const VERSIONS = [
  [10, 1, 26, []], [16, 1, 44, [6, 18]], [26, 1, 70, [6, 22]], [18, 2, 100, [6, 26]],
  [24, 2, 134, [6, 30]], [16, 4, 172, [6, 34]], [18, 4, 196, [6, 22, 38]],
  [22, 4, 242, [6, 24, 42]], [22, 5, 292, [6, 26, 46]], [26, 5, 346, [6, 28, 50]],
]
const range = (length, make = (n) => n) => Array.from({ length }, (_, n) => make(n))
const bitsOf = (value, length) => range(length, (n) => value >> (length - 1 - n) & 1)

/** Rows of modules, true where dark. Throws RangeError for a text that is too long. */
function qrCode(text) {
  const bytes = new TextEncoder().encode(text)
  const fits = ([ec, blocks, all], n) => bytes.length + (n < 9 ? 2 : 3) <= all - ec * blocks
  const version = 1 + VERSIONS.findIndex(fits)
  if (!version) throw new RangeError(`${bytes.length} bytes are too many for this code`)
  const bits = interleaved(dataOf(bytes, version), version).flatMap((byte) => bitsOf(byte, 8))
  return drawn(version, bits)
}

function dataOf(bytes, version) {
  const [ec, blocks, all] = VERSIONS[version - 1], room = all - ec * blocks
  const length = bitsOf(bytes.length, version < 10 ? 8 : 16)
  const content = [...bytes].flatMap((byte) => bitsOf(byte, 8))
  const bits = [0, 1, 0, 0, ...length, ...content, 0, 0, 0, 0] // byte mode … end
  const data = range(bits.length / 8, (n) => parseInt(bits.slice(n * 8, n * 8 + 8).join(''), 2))
  for (let pad = 0xEC; data.length < room; pad ^= 0xEC ^ 0x11) data.push(pad)
  return data
}

function interleaved(data, version) {
  const [ec, count] = VERSIONS[version - 1]
  const short = Math.floor(data.length / count), firstLong = count - data.length % count
  const blocks = range(count, (n) => {
    const start = n * short + Math.max(0, n - firstLong)
    return data.slice(start, start + short + (n >= firstLong ? 1 : 0))
  })
  const columns = (rows, length) => range(length, (n) => rows.map((row) => row[n])).flat()
    .filter((byte) => byte !== undefined)
  return [...columns(blocks, short + 1), ...columns(blocks.map((one) => remainder(one, ec)), ec)]
}

function times(a, b) { // in GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1
  let product = 0
  for (const bit of bitsOf(b, 8)) product = product << 1 ^ (product >> 7) * 0x11D ^ bit * a
  return product
}

/** Reed-Solomon. */
function remainder(block, degree) {
  let divisor = [1]
  for (let n = 0, root = 1; n < degree; n++, root = times(root, 2)) {
    divisor = [...divisor, 0].map((factor, m) => factor ^ times(divisor[m - 1] ?? 0, root))
  }
  const rest = [...block, ...Array(degree).fill(0)]
  for (const n of block.keys()) {
    const factor = rest[n]
    for (const [m, of] of divisor.entries()) rest[n + m] ^= times(of, factor)
  }
  return rest.slice(block.length)
}

/** Of the eight masks always the first: any can be read, and links are random enough. */
function drawn(version, bits) {
  const size = version * 4 + 17
  const rows = range(size, () => Array(size))
  const set = (x, y, dark) => {
    if (x in rows && y in rows) rows[y][x] = Boolean(dark)
  }
  const square = (x, y, radius, light) => { // concentric rings
    const around = range(2 * radius + 1).map((n) => n - radius)
    for (const dx of around) {
      for (const dy of around) {
        const ring = Math.max(Math.abs(dx), Math.abs(dy))
        set(x + dx, y + dy, !light.includes(ring))
      }
    }
  }
  for (const n of rows.keys()) {
    set(6, n, n % 2 === 0)
    set(n, 6, n % 2 === 0)
  }
  const places = VERSIONS[version - 1][3], last = size - 7
  for (const [x, y] of places.flatMap((one) => places.map((other) => [one, other]))) {
    const isFinder = (x === 6 || y === 6) && (x === y || x === last || y === last)
    if (!isFinder) square(x, y, 2, [1])
  }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) square(x, y, 4, [2, 4])
  drawFormat(set, size)
  if (version >= 7) drawVersion(set, size, version)
  let next = 0, up = true
  for (let right = size - 1; right > 0; right -= right === 8 ? 3 : 2) {
    for (const n of rows.keys()) {
      const y = up ? size - 1 - n : n
      for (const x of [right, right - 1]) {
        rows[y][x] ??= Boolean((bits[next++] ?? 0) ^ ((x + y) % 2 === 0))
      }
    }
    up = !up
  }
  return rows
}

function drawVersion(set, size, version) {
  let rest = version
  for (let n = 0; n < 12; n++) rest = rest << 1 ^ (rest >> 11) * 0x1F25
  for (const [n, bit] of bitsOf(version << 12 | rest, 18).reverse().entries()) {
    set(size - 11 + n % 3, n / 3 | 0, bit)
    set(n / 3 | 0, size - 11 + n % 3, bit)
  }
}

function drawFormat(set, size) { // level M, the first mask
  for (const [n, bit] of bitsOf(0x5412, 15).reverse().entries()) {
    set(8, n < 6 ? n : n < 8 ? n + 1 : size - 15 + n, bit)
    set(n < 8 ? size - 1 - n : n < 9 ? 7 : 14 - n, 8, bit)
  }
  set(8, size - 8, true)
}

/** The code as a picture, dark on light whatever the page's colours. */
export function qrPicture(text, label) {
  const rows = qrCode(text), side = rows.length + 8
  const modules = rows.flatMap((row, y) => row.map((dark, x) =>
    (dark ? `M${x + 4} ${y + 4}h1v1h-1z` : '')))
  const about = { role: 'img', label, 'shape-rendering': 'crispEdges' }
  return h('svg.qr', { viewBox: `0 0 ${side} ${side}`, ...about },
    h('rect', { width: side, height: side, fill: '#fff' }), h('path', { d: modules.join('') }))
}
