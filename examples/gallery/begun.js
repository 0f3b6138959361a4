// Photos that were begun and not handed over, as this browser notes them: a tab may end in between.
const KEPT = 'memoria-begun'

const all = () => JSON.parse(localStorage.getItem(KEPT) ?? '{}')
const keep = (notes) => localStorage.setItem(KEPT, JSON.stringify(notes))

export const begunBy = (user, event) =>
  Object.values(all()).filter((begun) => begun.user === user && begun.event === event)

/** begun: { id, name, path, preview_path, event, user, since }; undefined: it was handed over. */
export const note = (id, begun) => keep({ ...all(), [id]: begun })

/** Who signed out leaves nothing to read; their photos are handed over when they return. */
export function forgetNames(user) {
  const nameless = (begun) => (begun.user === user ? { ...begun, name: undefined } : begun)
  keep(Object.fromEntries(Object.entries(all()).map(([id, begun]) => [id, nameless(begun)])))
}
