// Who is signed in, and requests in that user's name: supabase-js does the same and more.
import { MemoriaError } from '/clients/memoria.js'
import { config } from '/config.js'

const KEPT = 'memoria-session'
const DEADLINE_MS = 30_000
const read = () => JSON.parse(localStorage.getItem(KEPT) ?? 'null')
let session = read()
let refreshing

export const user = () => session?.user ?? null

addEventListener('storage', ({ key, newValue }) => { // another tab signed in or out, or renewed the token
  if (key === KEPT) session = JSON.parse(newValue)
})

function keep(answer) {
  session = answer
  if (answer) localStorage.setItem(KEPT, JSON.stringify(answer))
  else localStorage.removeItem(KEPT)
}

/** One request to the project. Throws MemoriaError. body: an object is sent as JSON, a Blob as it is. */
export async function request(path, { method = 'POST', body, headers = {}, as = token, deadline = DEADLINE_MS } = {}) {
  const asked = { apikey: config.publishableKey, Authorization: `Bearer ${await as()}`, ...headers }
  if (body && !(body instanceof Blob)) asked['Content-Type'] = 'application/json'
  const sent = body && !(body instanceof Blob) ? JSON.stringify(body) : body
  let answer
  try {
    const signal = AbortSignal.timeout(deadline)
    answer = await fetch(config.supabaseUrl + path, { method, headers: asked, body: sent, signal })
  } catch (cause) {
    throw new MemoriaError({ code: cause.name === 'TimeoutError' ? 'timed_out' : 'unreachable', message: path, cause })
  }
  const told = await answer.json().catch(() => null)
  if (answer.ok) return told
  const means = Number(told?.statusCode ?? answer.status) // Storage says 400 and means this
  const code = means === 413 ? 'media_too_large' : told?.error_code ?? told?.code
  throw new MemoriaError({ code, message: told?.msg ?? told?.message ?? path, status: answer.status })
}

const publishable = async () => config.publishableKey
const auth = (path, body) => request(`/auth/v1/${path}`, { body, as: publishable })

export const signIn = async (email, password) => keep(await auth('token?grant_type=password', { email, password }))
export const signUp = async (email, password) => keep(await auth('signup', { email, password }))
export const signInAnonymously = async () => keep(await auth('signup', {}))
export const signOut = async () => {
  await request('/auth/v1/logout?scope=local').catch(() => {}) // gone from here all the same
  keep(null)
}

/** The access token, renewed in time; once for all who ask meanwhile. */
export async function token() {
  if (ending()) {
    refreshing ??= navigator.locks.request(KEPT, renew).finally(() => { refreshing = undefined })
    await refreshing
  }
  return session?.access_token ?? config.publishableKey
}

const ending = () => session && session.expires_at * 1000 < Date.now() + 60_000

/** One tab at a time: a refresh token is good once. */
async function renew() {
  session = read() // another tab may just have done it
  if (!ending()) return
  try {
    keep(await auth('token?grant_type=refresh_token', { refresh_token: session.refresh_token }))
  } catch (error) {
    if (error.status >= 400 && error.status < 500 && error.status !== 429) keep(null) // offline is no reason to sign out
    throw error
  }
}
