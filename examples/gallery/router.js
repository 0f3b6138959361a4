// Pages by the address after #: #/events, #/e/<event>/<page>/<id>?more. Back comes to where one was
const visits = new Map() // by entry of the history
let show, visit, stepped, leaving = new AbortController()

export function to(page, event, id, query) {
  const parts = event === undefined ? [page] : ['e', event, page, ...(id === undefined ? [] : [id])]
  const more = new URLSearchParams(query).toString()
  return `#/${parts.map(encodeURIComponent).join('/')}${more && `?${more}`}`
}

function read(hash) {
  const [path, more] = (hash.startsWith('#/') ? hash.slice(2) : '').split('?') // else a mail's
  const query = new URLSearchParams(more)
  try {
    const [first, event, page = 'people', id] = path.split('/').map(decodeURIComponent)
    return first === 'e' ? { page, event, id, query } : { page: first || 'events', query }
  } catch {
    return { page: 'nothing', query } // no such address
  }
}

export const go = (address) => location.assign(address)

/** The event of the address; undefined: of none. */
export const eventHere = () => read(location.hash).event

/** The address of what is shown already. */
export const replace = (address) => history.replaceState(history.state, '', address)

/** Another page in the place of this one: back skips it. */
export function step(address) {
  stepped = visit
  location.replace(address)
}

/** To where one came from, if that was here. */
export const back = (otherwise) => (visit.inside ? history.back() : go(otherwise))

/** Calls page(route, signal, again) for every address; route.kept is an object that back finds. */
export function follow(page) {
  show = page
  history.scrollRestoration = 'manual'
  addEventListener('hashchange', refresh)
  refresh()
}

/** Shows the page anew. */
export async function refresh() {
  if (visit) visit.scroll = scrollY
  leaving.abort()
  leaving = new AbortController()
  const { signal } = leaving, at = history.state?.at ?? crypto.randomUUID()
  history.replaceState({ at }, '')
  const again = visit && visit === visits.get(at)
  const inside = Boolean(stepped ? stepped.inside : visit)
  visit = visits.get(at) ?? { kept: {}, scroll: 0, inside }
  stepped = undefined
  visits.set(at, visit)
  const { kept, scroll } = visit
  await show({ ...read(location.hash), kept }, signal, again)
  if (!signal.aborted) scrollTo(0, scroll)
}
