// Changes: made, said, taken back.
import { MemoriaError } from '/clients/memoria.js'
import { lastingToast, toast } from './dom.js'
import { eventHere, refresh } from './router.js'
import { client, user } from './session.js'
import { texts } from './texts.js'

/** Who is here now, and in which event. Later: is it still the same user, in the same event? */
export function here() {
  const whose = user()?.id, event = eventHere(), sameUser = () => user()?.id === whose
  return { sameUser, sameEvent: () => sameUser() && eventHere() === event }
}

/**
 * Makes a change, says so, offers to take it back, and shows the page as it is then; elsewhere only
 * a failure is told. call() answers what the client answered, or a list of that; false: nothing was
 * done. said may be a function of that, more answers further actions. Answers null of a failure.
 */
export async function act(said, call, options = {}) {
  const { after = refresh, more = () => [] } = options
  const { at } = history.state ?? {}, begun = here()
  try {
    const answer = await call()
    if (answer === false) return null
    const changes = [answer].flat().map((one) => one?.change_id).filter(Boolean)
    const undo = changes.length ? [[texts.undo, () => takeBack(changes)]] : []
    const failed = answer?.failed, told = typeof said === 'function' ? said(answer) : said
    if (failed && begun.sameUser()) lastingToast(failed, ...undo)
    if (!begun.sameEvent()) return answer
    if (told && !failed) toast(told, ...undo, ...more(answer))
    if (after !== refresh || history.state?.at === at) await after(answer) // else it was left
    return answer
  } catch (error) {
    tell(error, () => act(said, call, options), begun)
    return null
  }
}

const takeBack = (changes) => act(texts.undone, () =>
  inTurn(changes.toReversed().map((change_id) => () => client.undo({ change_id }))))

/** One after the other. Answers what was done before one failed: that can be taken back. */
export async function inTurn(calls) {
  const done = []
  for (const call of calls) {
    try {
      done.push(await call())
    } catch (error) {
      if (!done.length) throw error
      return Object.assign(done, { failed: error.words ?? texts.wrong })
    }
  }
  return done
}

/** To its user, in any event. again: offered in its own, where it may go well the next time. */
export function tell(error, again, begun = here()) {
  if (!(error instanceof MemoriaError)) throw error
  if (user() && !begun.sameUser()) return // nobody is left: the session's end is told
  const passes = begun.sameEvent() && !(error.status >= 400 && error.status < 500)
  lastingToast(error.words, ...(again && passes ? [[texts.tryAgain, again]] : []))
}
