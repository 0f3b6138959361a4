// Several files as one: a ZIP without compression, since photos are compressed already.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xEDB88320 ^ (n >>> 1) : n >>> 1
  return n
})

function checksum(bytes) {
  let sum = ~0
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8)
  return ~sum >>> 0
}

/** Little-endian: pairs of a value and how many bytes it takes. */
function packed(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [, size]) => sum + size, 0)))
  let at = 0
  for (const [value, size] of fields) {
    if (size === 4) view.setUint32(at, value, true)
    else view.setUint16(at, value, true)
    at += size
  }
  return view.buffer
}

export class Zip {
  #parts = []
  #directory = []
  #names = new Set()
  size = 0

  /** bytes: a Uint8Array. A name that is taken gets a number. */
  add(wanted, bytes) {
    let name = wanted
    for (let n = 2; this.#names.has(name); n++) name = wanted.replace(/(\.[^.]*)?$/, ` ${n}$1`)
    this.#names.add(name)
    const text = new TextEncoder().encode(name)
    // version 2.0, names in UTF-8, stored, no time, 1980-01-01
    const about = [[20, 2], [0x800, 2], [0, 2], [0, 2], [33, 2], [checksum(bytes), 4], [bytes.length, 4], [bytes.length, 4], [text.length, 2], [0, 2]]
    this.#directory.push(packed([0x02014b50, 4], [20, 2], ...about, [0, 2], [0, 2], [0, 2], [0, 4], [this.size, 4]), text)
    this.#parts.push(packed([0x04034b50, 4], ...about), text, new Blob([bytes])) // a Blob may go to the disk
    this.size += 30 + text.length + bytes.length
  }

  blob() {
    const length = this.#directory.reduce((sum, part) => sum + part.byteLength, 0), n = this.#names.size
    const end = packed([0x06054b50, 4], [0, 2], [0, 2], [n, 2], [n, 2], [length, 4], [this.size, 4], [0, 2])
    return new Blob([...this.#parts, ...this.#directory, end], { type: 'application/zip' })
  }
}
