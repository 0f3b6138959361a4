/** A JPEG of at most so many pixels on its longer side; null of what this browser cannot read. */
export async function smaller(file, most, quality) {
  try {
    const picture = await createImageBitmap(file)
    const scale = Math.min(1, most / Math.max(picture.width, picture.height))
    const canvas = new OffscreenCanvas(Math.round(picture.width * scale), Math.round(picture.height * scale))
    canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height)
    picture.close()
    return await canvas.convertToBlob({ type: 'image/jpeg', quality })
  } catch {
    return null
  }
}
