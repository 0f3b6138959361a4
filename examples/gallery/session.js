// Who is signed in, and requests in that user's name: supabase-js does the same and more.
import { createMemoria, MemoriaError } from '/clients/memoria.js'
import { config } from '/config.js'

const { supabaseUrl: url, publishableKey: key } = config
const KEPT = 'memoria-session', DEADLINE_MS = 30_000
export const USER_CHANGED = 'memoria-user-changed'
const JSON_TYPE = { type: 'application/json' }
const read = () => JSON.parse(localStorage.getItem(KEPT) ?? 'null')
let session = read(), refreshing

export const client = createMemoria({ url, key, fetch: asUser })
export const user = () => session?.user ?? null

addEventListener('storage', ({ key: changed }) => { // by another tab; null: all of it
  if (changed === KEPT || changed === null) take(read())
})

/** Another session, or none. The window is told where it is another user's. */
function take(next) {
  const whose = user()?.id
  session = next
  if (user()?.id !== whose) dispatchEvent(new Event(USER_CHANGED))
}

/** until: by this device's clock, which may be wrong. */
function keep(answer) {
  if (answer && !answer.access_token) throw new MemoriaError({ code: 'email_not_confirmed' })
  const until = answer && Date.now() + answer.expires_in * 1000
  if (answer) localStorage.setItem(KEPT, JSON.stringify({ ...answer, until }))
  else localStorage.removeItem(KEPT)
  take(read())
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
  throw new MemoriaError({ code, message: told?.msg ?? told?.message, status: means })
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
  const whose = user()?.id
  await request('/auth/v1/logout?scope=local', {}).catch(() => {})
  if (read()?.user.id === whose) keep(null) // gone from here all the same
}

/** fetch in a user's name, the same to the end. A token that is refused is renewed once. */
async function asUser(address, { headers, ...more }) {
  const whose = user()?.id
  const send = (token) =>
    fetch(address, { ...more, headers: { ...headers, Authorization: `Bearer ${token}` } })
  const token = await current(whose), answer = await send(token)
  if (!await isRefused(answer)) return answer
  const renewed = await current(whose, token), again = await send(renewed)
  if (await isRefused(again) && read()?.access_token === renewed) keep(null)
  return again
}

/** Storage says 400 and what it means in words. */
const isRefused = async (answer) => answer.status === 401
  || (answer.status === 400 && /exp\W+claim|jwt expired/.test(await answer.clone().text()))

/** The access token, renewed in time or where it was refused; once for all who ask meanwhile. */
async function current(whose, refused) {
  if (ending(refused)) {
    refreshing ??= navigator.locks.request(KEPT, () => renew(refused))
      .finally(() => { refreshing = undefined })
    await refreshing
  }
  if (!session || user().id !== whose) throw new MemoriaError({ code: 'unauthorized' })
  return session.access_token
}

const ending = (refused) =>
  session && (session.until < Date.now() + 60_000 || session.access_token === refused)

/** One tab at a time: a refresh token is good once. */
async function renew(refused) {
  take(read()) // another tab may just have done it
  if (!ending(refused)) return
  const { refresh_token } = session
  const answer = await auth('token?grant_type=refresh_token', { refresh_token }).catch((error) => {
    const over = error.status >= 400 && error.status < 500 && error.status !== 429
    if (!over) throw error // offline is no reason to sign out
    return null
  })
  if (read()?.refresh_token === refresh_token) keep(answer)
  else take(read()) // somebody signed out or in meanwhile
}
