// What was begun and not handed over, kept in this browser: a tab may end between the two.
const BEGUN = 'memoria-begun'

/** By photo. */
export const allBegun = () => JSON.parse(localStorage.getItem(BEGUN) ?? '{}')

/** Puts one there; null takes it away. */
export function note(id, begun) {
  const { [id]: _, ...others } = allBegun()
  localStorage.setItem(BEGUN, JSON.stringify(begun ? { ...others, [id]: begun } : others))
}
