// `watch` where Realtime is there. No Realtime runs here: its channel is this one, asking is answered by hand.
import { createMemoria } from './memoria.js'

const counts = (pending, failed = 0) => ({ total: 3, pending, completed: 3 - pending - failed, failed, waiting: 0 })
const status = { photos: counts(3), people: 0, faces: 0, clustered_at: null, version: 1, done: false, failures: [] }
const heard = {}
const log = []
let asked = 0, subscribed, removed = 0, failing = false

const supabase = {
  realtime: { setAuth: async () => log.push('setAuth') },
  rpc: async () => {
    asked++
    if (failing) return { data: null, error: { code: 'PT404', message: 'There is no such event.' }, status: 404 }
    return { data: structuredClone(status), error: null, status: 200 }
  },
  channel(topic, { config }) {
    log.push(`${topic} ${config.private}`)
    return {
      on(kind, { event }, listener) { heard[event] = listener; return this },
      subscribe(listener) { subscribed = listener },
    }
  },
  removeChannel: () => removed++,
}
const pause = (ms = 30) => new Promise((done) => setTimeout(done, ms))
const news = []
const stop = createMemoria({ supabase }).watch('gala', (told) => news.push(told), { everyMs: 20, backupMs: 100_000 })
await pause()
subscribed('SUBSCRIBED')
await pause()
const before = asked
heard.progress({ payload: { id: 'x', photos: counts(1) } })
heard.photo_failed({ payload: { id: 'x', media_id: 'm2', code: 'media_gone', message: 'It is gone.' } })
heard.people({ payload: { id: 'x', people: 2, faces: 3, complete: true, photos: counts(0, 1),
  clustered_at: '2026-01-01T00:00:00+00:00', version: 2 } })
await pause(100)
const whileLive = asked - before
// Realtime breaks off: it asks again, and tells nothing twice
Object.assign(status, { photos: counts(0, 1), clustered_at: '2026-01-01T00:00:00+00:00',
  failures: [{ media_id: 'm2', code: 'media_gone', message: 'It is gone.' }] })
subscribed('CHANNEL_ERROR')
await pause(100)
status.failures.push({ media_id: 'm3', code: 'unreadable_media', message: 'It is broken.' })
await pause(100)
failing = true
await pause(100)
stop()
const after = asked
await pause(100)
console.log(JSON.stringify({ log, news, whileLive, afterwards: asked - after, asked, removed }))
