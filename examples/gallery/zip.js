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

/** Little-endian: pairs of how many bytes and a value. */
const packed = (...fields) => new Uint8Array(fields.flatMap(([size, value]) =>
  Array.from({ length: size }, (_, n) => value >>> (8 * n) & 255)))

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
    const text = new TextEncoder().encode(name), { length } = bytes
    // version 2.0, names in UTF-8, stored, no time, 1980-01-01
    const about = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 33],
      [4, checksum(bytes)], [4, length], [4, length], [2, text.length], [2, 0]]
    const entry = packed([4, 0x02014b50], [2, 20], ...about, [6, 0], [4, 0], [4, this.size])
    this.#directory.push(entry, text)
    // a Blob may go to the disk
    this.#parts.push(packed([4, 0x04034b50], ...about), text, new Blob([bytes]))
    this.size += 30 + text.length + length
  }

  blob() {
    const length = this.#directory.reduce((sum, part) => sum + part.length, 0), n = this.#names.size
    const end = packed([4, 0x06054b50], [4, 0], [2, n], [2, n], [4, length], [4, this.size], [2, 0])
    return new Blob([...this.#parts, ...this.#directory, end], { type: 'application/zip' })
  }
}
