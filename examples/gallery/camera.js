// Three frames while the head turns a little: three pictures find far more guests than one.
const FIRST_MS = 1800, NEXT_MS = 1400
const SIZE = { facingMode: 'user', width: 1280, height: 960 }

/** Plays the camera in the video; tell(turn) says what to do before each frame. Answers JPEGs. */
export async function frames(video, turns, tell, signal) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: SIZE })
  const stop = () => stream.getTracks().forEach((track) => track.stop())
  signal.addEventListener('abort', stop)
  try {
    signal.throwIfAborted()
    video.srcObject = stream
    await video.play()
    const taken = []
    for (const turn of turns) {
      tell(turn)
      const pause = taken.length ? NEXT_MS : FIRST_MS
      await new Promise((resolve) => setTimeout(resolve, pause))
      taken.push(await frame(video))
      signal.throwIfAborted()
    }
    return taken
  } finally {
    stop()
  }
}

function frame(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight)
  canvas.getContext('2d').drawImage(video, 0, 0)
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 })
}
