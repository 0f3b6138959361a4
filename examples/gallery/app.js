// The smallest app there is: signs in, anonymously at first, and lists the status of the user's events.
import { config } from '/config.js'

const who = document.querySelector('#who')
const events = document.querySelector('#events')
let token = config.publishableKey

async function post(path, body) {
  const answer = await fetch(`${config.supabaseUrl}${path}`, {
    method: 'POST',
    headers: { apikey: config.publishableKey, Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  const told = await answer.json()
  if (!answer.ok) throw new Error(told.message ?? told.msg)
  return told
}

async function show(session) {
  token = session.access_token
  who.textContent = `Signed in as ${session.user.email || 'a guest'}.`
  const found = await post('/rest/v1/rpc/my_events', {})
  const rows = await Promise.all(found.map(async ({ event_id }) => {
    const status = await post('/rest/v1/rpc/memoria_event_status', { p_event_id: event_id })
    const row = document.createElement('li')
    row.textContent = `${event_id}: ${status.photos.completed} of ${status.photos.total} photos, `
      + `${status.faces} faces, ${status.people} people`
    return row
  }))
  events.replaceChildren(...rows)
  if (!rows.length) who.textContent += ' You have no events.'
}

const tell = error => { who.textContent = error.message }

document.querySelector('#sign-in').addEventListener('submit', event => {
  event.preventDefault()
  const { email, password } = Object.fromEntries(new FormData(event.target))
  token = config.publishableKey
  post('/auth/v1/token?grant_type=password', { email, password }).then(show).catch(tell)
})
post('/auth/v1/signup', {}).then(show).catch(tell)
