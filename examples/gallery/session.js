// Who is signed in, and requests in that user's name: supabase-js does the same and more.
import { createMemoria, MemoriaError } from '/clients/memoria.js'
import { config } from '/config.js'

const { supabaseUrl: url, publishableKey: key } = config
const KEPT = 'memoria-session', DEADLINE_MS = 30_000
export const SESSION_OVER = 'memoria-session-over'
const JSON_TYPE = { type: 'application/json' }
const read = () => JSON.parse(localStorage.getItem(KEPT) ?? 'null')
let session = read(), refreshing

export const client = createMemoria({ url, key, fetch: asUser })
export const user = () => session?.user ?? null

addEventListener('storage', (changed) => { // another tab signed in or out, or renewed the token
  if (changed.key === KEPT) session = JSON.parse(changed.newValue)
})

/** until: by this device's clock, which may be wrong. Tells the window once that it is over. */
function keep(answer) {
  if (answer && !answer.access_token) throw new MemoriaError({ code: 'email_not_confirmed' })
  const isOver = session && !answer
  session = answer && { ...answer, until: Date.now() + answer.expires_in * 1000 }
  if (answer) localStorage.setItem(KEPT, JSON.stringify(session))
  else localStorage.removeItem(KEPT)
  if (isOver) dispatchEvent(new Event(SESSION_OVER))
}

/** One request to the project. Raises MemoriaError. A Blob is sent as it is, all else as JSON. */
export async function request(path, body, { method = 'POST', by = asUser, ...more } = {}) {
  const signal = AbortSignal.timeout(more.deadline ?? DEADLINE_MS)
  const headers = { apikey: key, ...more.headers }
  const sent = body instanceof Blob ? body : new Blob([JSON.stringify(body)], JSON_TYPE)
  const lost = (cause) => {
    const code = signal.aborted ? 'timed_out' : 'unreachable'
    throw cause instanceof MemoriaError ? cause : new MemoriaError({ code, message: path, cause })
  }
  const answer = await by(url + path, { method, headers, body: sent, signal }).catch(lost)
  const text = await answer.text().catch(lost) || 'null'
  const told = await Promise.resolve(text).then(JSON.parse).catch(() => undefined)
  if (answer.ok && told !== undefined) return told
  const means = Number(told?.statusCode ?? answer.status) // Storage says 400 and means this
  const code = means === 413 ? 'media_too_large' : told?.error_code ?? told?.code
  throw new MemoriaError({ code, message: told?.msg ?? told?.message, status: answer.status })
}

/** A function of this app's own in the database. */
export const call = (name, args = {}) => request(`/rest/v1/rpc/${name}`, args)

/** Deletes files of Storage. */
export const erase = (bucket, prefixes) =>
  request(`/storage/v1/object/${encodeURIComponent(bucket)}`, { prefixes }, { method: 'DELETE' })

const auth = (path, body) => request(`/auth/v1/${path}`, body, { by: fetch })

export const signIn = async (given) => keep(await auth('token?grant_type=password', given))
export const signUp = async (given) => keep(await auth('signup', given))
export const signOut = async () => {
  await request('/auth/v1/logout?scope=local', {}).catch(() => {}) // gone from here all the same
  keep(null)
}

/** fetch in the user's name. A token that is refused is renewed once, or the session is over. */
async function asUser(address, { headers, ...more }) {
  const send = (token) =>
    fetch(address, { ...more, headers: { ...headers, Authorization: `Bearer ${token}` } })
  const token = await current()
  const answer = await send(token)
  if (answer.status !== 401) return answer
  const renewed = await current(token), again = await send(renewed)
  if (again.status === 401 && session?.access_token === renewed) keep(null)
  return again
}

/** The access token, renewed in time or where it was refused; once for all who ask meanwhile. */
async function current(refused) {
  if (ending(refused)) {
    refreshing ??= navigator.locks.request(KEPT, () => renew(refused))
      .finally(() => { refreshing = undefined })
    await refreshing
  }
  if (!session) throw new MemoriaError({ code: 'unauthorized' })
  return session.access_token
}

const ending = (refused) =>
  session && (session.until < Date.now() + 60_000 || session.access_token === refused)

/** One tab at a time: a refresh token is good once. */
async function renew(refused) {
  session = read() // another tab may just have done it
  if (!ending(refused)) return
  try {
    const { refresh_token } = session
    keep(await auth('token?grant_type=refresh_token', { refresh_token }))
  } catch (error) {
    const over = error.status >= 400 && error.status < 500 && error.status !== 429
    if (!over) throw error // offline is no reason to sign out
    keep(null)
  }
}
