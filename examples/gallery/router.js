// Pages by the address after #: #/events, #/e/<event>/<page>/<id>?more. Back comes to where one was.

export function to(page, event, id, query) {
  const parts = event === undefined ? [page] : ['e', event, page, ...(id === undefined ? [] : [id])]
  const more = new URLSearchParams(query).toString()
  return `#/${parts.map(encodeURIComponent).join('/')}${more ? `?${more}` : ''}`
}

export function read(hash) {
  const [path, more] = hash.replace(/^#\/?/, '').split('?')
  let parts
  try {
    parts = path.split('/').map(decodeURIComponent)
  } catch {
    parts = []
  }
  const [page, event, id] = parts[0] === 'e' ? [parts[2] ?? 'people', parts[1], parts[3]] : [parts[0]]
  return { page: page || 'events', event, id, query: new URLSearchParams(more) }
}

let visit, stepped

export const go = (address) => { location.hash = address }

/** The address of what is shown already. */
export const replace = (address) => history.replaceState(history.state, '', address)

/** Another page in the place of this one: back skips it. */
export function step(address) {
  stepped = visit
  location.replace(address)
}

/** To where one came from, if that was here. */
export const back = (otherwise) => visit.inside ? history.back() : go(otherwise)

/** Calls show(route, kept, signal) for every address; kept is an object that back finds again. Returns how to show it anew. */
export function follow(show) {
  const visits = new Map()
  let leaving

  async function arrive() {
    if (visit) visit.scroll = scrollY
    leaving?.abort()
    leaving = new AbortController()
    const { signal } = leaving
    const at = history.state?.at ?? crypto.randomUUID()
    history.replaceState({ at }, '')
    const again = visit && visit === visits.get(at)
    visit = visits.get(at) ?? { kept: {}, scroll: 0, inside: (stepped ?? { inside: visit }).inside }
    stepped = undefined
    visits.set(at, visit)
    const { kept, scroll } = visit
    await show(read(location.hash), kept, signal, again)
    if (!signal.aborted) scrollTo(0, scroll)
  }

  history.scrollRestoration = 'manual'
  addEventListener('hashchange', arrive)
  return arrive
}
