// A QR code of a text of up to 213 bytes: byte mode, level M, versions 1 to 10 (ISO/IEC 18004).

// by version: error correction bytes of a block, blocks, bytes in all, places of alignment patterns
const VERSIONS = [
  [10, 1, 26, []], [16, 1, 44, [6, 18]], [26, 1, 70, [6, 22]], [18, 2, 100, [6, 26]], [24, 2, 134, [6, 30]],
  [16, 4, 172, [6, 34]], [18, 4, 196, [6, 22, 38]], [22, 4, 242, [6, 24, 42]], [22, 5, 292, [6, 26, 46]], [26, 5, 346, [6, 28, 50]],
]
const MASKS = [
  (x, y) => (x + y) % 2, (_, y) => y % 2, (x) => x % 3, (x, y) => (x + y) % 3,
  (x, y) => ((x / 3 | 0) + (y / 2 | 0)) % 2, (x, y) => x * y % 2 + x * y % 3,
  (x, y) => (x * y % 2 + x * y % 3) % 2, (x, y) => ((x + y) % 2 + x * y % 3) % 2,
]

/** Rows of modules, true where dark. Throws RangeError for a text that is too long. */
export function qrCode(text) {
  const bytes = new TextEncoder().encode(text)
  const version = 1 + VERSIONS.findIndex(([ec, blocks, all], n) => bytes.length + (n < 9 ? 2 : 3) <= all - ec * blocks)
  if (!version) throw new RangeError(`${bytes.length} bytes are too many for this code`)
  const bits = interleaved(dataOf(bytes, version), version).flatMap((byte) => bitsOf(byte, 8))
  const codes = MASKS.map((mask, number) => drawn(version, bits, mask, number))
  return codes.reduce((best, code) => (penalty(code) < penalty(best) ? code : best))
}

const bitsOf = (value, length) => Array.from({ length }, (_, n) => value >> (length - 1 - n) & 1)

function dataOf(bytes, version) {
  const [ec, blocks, all] = VERSIONS[version - 1]
  const room = all - ec * blocks
  const bits = [...bitsOf(4, 4), ...bitsOf(bytes.length, version < 10 ? 8 : 16), ...[...bytes].flatMap((byte) => bitsOf(byte, 8))]
  bits.push(...Array(Math.min(4, room * 8 - bits.length)).fill(0))
  while (bits.length % 8) bits.push(0)
  const data = Array.from({ length: bits.length / 8 }, (_, n) => parseInt(bits.slice(n * 8, n * 8 + 8).join(''), 2))
  for (let pad = 0xEC; data.length < room; pad ^= 0xEC ^ 0x11) data.push(pad)
  return data
}

function interleaved(data, version) {
  const [ec, count, all] = VERSIONS[version - 1]
  const short = Math.floor((all - ec * count) / count), long = (all - ec * count) % count
  const blocks = Array.from({ length: count }, (_, n) => {
    const start = n * short + Math.max(0, n - (count - long))
    return data.slice(start, start + short + (n >= count - long ? 1 : 0))
  })
  const checks = blocks.map((block) => remainder(block, ec))
  const columns = (rows, length) => Array.from({ length }, (_, n) => rows.map((row) => row[n])).flat().filter((byte) => byte !== undefined)
  return [...columns(blocks, short + 1), ...columns(checks, ec)]
}

function times(a, b) { // in GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1
  let product = 0
  for (let bit = 7; bit >= 0; bit--) product = product << 1 ^ (product >> 7) * 0x11D ^ (b >> bit & 1) * a
  return product
}

/** Reed-Solomon. */
function remainder(block, degree) {
  let divisor = [1]
  for (let n = 0, root = 1; n < degree; n++, root = times(root, 2)) {
    divisor = [...divisor, 0].map((factor, m) => factor ^ times(divisor[m - 1] ?? 0, root))
  }
  const rest = [...block, ...Array(degree).fill(0)]
  for (let n = 0; n < block.length; n++) {
    const factor = rest[n]
    divisor.forEach((of, m) => { rest[n + m] ^= times(of, factor) })
  }
  return rest.slice(block.length)
}

function drawn(version, bits, mask, maskNumber) {
  const size = version * 4 + 17
  const rows = Array.from({ length: size }, () => Array(size))
  const set = (x, y, dark) => { if (rows[y]?.length > x && x >= 0) rows[y][x] = Boolean(dark) }
  const square = (x, y, radius, dark) => { // concentric rings
    for (let dy = -radius; dy <= radius; dy++) {
      for (let dx = -radius; dx <= radius; dx++) set(x + dx, y + dy, dark(Math.max(Math.abs(dx), Math.abs(dy))))
    }
  }
  for (let n = 0; n < size; n++) { set(6, n, n % 2 === 0); set(n, 6, n % 2 === 0) }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) square(x, y, 4, (ring) => ring !== 2 && ring !== 4)
  const places = VERSIONS[version - 1][3], last = places.at(-1)
  for (const x of places) {
    for (const y of places) if (!(x === 6 && y === 6 || x === 6 && y === last || x === last && y === 6)) square(x, y, 2, (ring) => ring !== 1)
  }
  drawFormat(set, size, maskNumber)
  if (version >= 7) {
    const told = bitsOf(version << 12 | checked(version, 12, 0x1F25), 18).reverse()
    told.forEach((bit, n) => { set(size - 11 + n % 3, n / 3 | 0, bit); set(n / 3 | 0, size - 11 + n % 3, bit) })
  }
  let next = 0
  for (let right = size - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right--
    for (let n = 0; n < size; n++) {
      const y = up ? size - 1 - n : n
      for (const x of [right, right - 1]) if (rows[y][x] === undefined) rows[y][x] = Boolean((bits[next++] ?? 0) ^ (mask(x, y) === 0))
    }
  }
  return rows
}

function checked(value, degree, polynomial) {
  let rest = value
  for (let n = 0; n < degree; n++) rest = rest << 1 ^ (rest >> degree - 1) * polynomial
  return rest
}

function drawFormat(set, size, mask) { // level M is 0
  const bits = bitsOf((mask << 10 | checked(mask, 10, 0x537)) ^ 0x5412, 15).reverse()
  bits.forEach((bit, n) => {
    set(8, n < 6 ? n : n < 8 ? n + 1 : size - 15 + n, bit)
    set(n < 8 ? size - 1 - n : n < 9 ? 7 : 14 - n, 8, bit)
  })
  set(8, size - 8, true)
}

/** Long runs, squares of one colour and patterns that look like a finder make a code hard to read. */
function penalty(rows) {
  const size = rows.length
  const lines = [...rows, ...rows.map((_, x) => rows.map((row) => row[x]))].map((line) => line.map(Number).join(''))
  let points = 0
  for (const line of lines) {
    for (const [run] of line.matchAll(/0{5,}|1{5,}/g)) points += run.length - 2
    points += 40 * (line.match(/(?=00001011101|10111010000)/g)?.length ?? 0)
  }
  for (let y = 1; y < size; y++) {
    for (let x = 1; x < size; x++) {
      if (rows[y][x] === rows[y - 1][x] && rows[y][x] === rows[y][x - 1] && rows[y][x] === rows[y - 1][x - 1]) points += 3
    }
  }
  const dark = rows.flat().filter(Boolean).length / size ** 2
  return points + 10 * Math.floor(Math.abs(dark - 0.5) * 20)
}

/** The code as a picture, dark on light whatever the page's colours. */
export function qrPicture(text, label) {
  const rows = qrCode(text), side = rows.length + 8
  const make = (tag, attributes) => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', tag)
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
    return made
  }
  const path = rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x + 4} ${y + 4}h1v1h-1z` : ''))).join('')
  const picture = make('svg', { viewBox: `0 0 ${side} ${side}`, class: 'qr', role: 'img', 'aria-label': label, 'shape-rendering': 'crispEdges' })
  picture.append(make('rect', { width: side, height: side, fill: '#fff' }), make('path', { d: path, fill: '#000' }))
  return picture
}
