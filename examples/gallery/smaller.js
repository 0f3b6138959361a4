/** A JPEG of at most so many pixels on its longer side; null of what this browser cannot read. */
export async function smaller(file, most, quality) {
  try {
    const picture = await createImageBitmap(file)
    const scale = Math.min(1, most / Math.max(picture.width, picture.height))
    const sides = [picture.width, picture.height].map((side) => Math.round(side * scale))
    const canvas = new OffscreenCanvas(...sides)
    canvas.getContext('2d').drawImage(picture, 0, 0, ...sides)
    picture.close()
    return await canvas.convertToBlob({ type: 'image/jpeg', quality })
  } catch {
    return null
  }
}
