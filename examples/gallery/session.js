// Who is signed in, and requests in that user's name: supabase-js does the same and more.
import { createMemoria, MemoriaError } from '/clients/memoria.js'
import { config } from '/config.js'

const { supabaseUrl: url, publishableKey: key } = config
const KEPT = 'memoria-session'
const DEADLINE_MS = 30_000
const read = () => JSON.parse(localStorage.getItem(KEPT) ?? 'null')
let session = read(), refreshing

export const client = createMemoria({ url, key, accessToken: token })
export const user = () => session?.user ?? null

addEventListener('storage', (changed) => { // another tab signed in or out, or renewed the token
  if (changed.key === KEPT) session = JSON.parse(changed.newValue)
})

function keep(answer) {
  session = answer
  if (answer) localStorage.setItem(KEPT, JSON.stringify(answer))
  else localStorage.removeItem(KEPT)
}

/** One request to the project. Raises MemoriaError. A Blob is sent as it is, all else as JSON. */
export async function request(path, body, { method = 'POST', as = token, ...more } = {}) {
  const { headers, deadline = DEADLINE_MS } = more
  const isFile = body instanceof Blob
  const asked = { apikey: key, Authorization: `Bearer ${await as()}`, ...headers }
  if (!isFile) asked['Content-Type'] = 'application/json'
  const sent = { method, headers: asked, body: isFile ? body : JSON.stringify(body) }
  const answer = await fetch(url + path, { ...sent, signal: AbortSignal.timeout(deadline) })
    .catch((cause) => {
      const code = cause.name === 'TimeoutError' ? 'timed_out' : 'unreachable'
      throw new MemoriaError({ code, message: path, cause })
    })
  const told = await answer.json().catch(() => null)
  if (answer.ok) return told
  const means = Number(told?.statusCode ?? answer.status) // Storage says 400 and means this
  const code = means === 413 ? 'media_too_large' : told?.error_code ?? told?.code
  throw new MemoriaError({ code, message: told?.msg ?? told?.message, status: answer.status })
}

/** A function of this app's own in the database. */
export const call = (name, args = {}) => request(`/rest/v1/rpc/${name}`, args)

/** Deletes files of Storage. */
export const erase = (bucket, prefixes) =>
  request(`/storage/v1/object/${encodeURIComponent(bucket)}`, { prefixes }, { method: 'DELETE' })

const auth = (path, body) => request(`/auth/v1/${path}`, body, { as: async () => key })

export const signIn = async (given) => keep(await auth('token?grant_type=password', given))
export const signUp = async (given) => keep(await auth('signup', given))
export const signOut = async () => {
  await request('/auth/v1/logout?scope=local', {}).catch(() => {}) // gone from here all the same
  keep(null)
}

/** The access token, renewed in time; once for all who ask meanwhile. */
export async function token() {
  if (ending()) {
    refreshing ??= navigator.locks.request(KEPT, renew).finally(() => { refreshing = undefined })
    await refreshing
  }
  return session?.access_token ?? key
}

const ending = () => session && session.expires_at * 1000 < Date.now() + 60_000

/** One tab at a time: a refresh token is good once. */
async function renew() {
  session = read() // another tab may just have done it
  if (!ending()) return
  try {
    const { refresh_token } = session
    keep(await auth('token?grant_type=refresh_token', { refresh_token }))
  } catch (error) {
    const over = error.status >= 400 && error.status < 500 && error.status !== 429
    if (over) keep(null) // offline is no reason to sign out
    throw error
  }
}
