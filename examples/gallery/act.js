// Changes: made, said, taken back.
import { MemoriaError } from '/clients/memoria.js'
import { toast } from './dom.js'
import { eventHere, refresh } from './router.js'
import { client, user } from './session.js'
import { texts } from './texts.js'

/** Answers a function: is it still the event and the user that what is said now is for? */
export function staying() {
  const place = () => `${user()?.id} ${eventHere()}`, here = place()
  return () => place() === here
}

/**
 * Makes a change, says so, offers to take it back, and shows the page as it is then. call() answers
 * what the client answered, or a list of that; false: nothing was done. said may be a function of
 * that, more answers further actions. Answers null where it did not work.
 */
export async function act(said, call, options = {}) {
  const { after = refresh, more = () => [] } = options, { at } = history.state ?? {}
  const stays = staying()
  try {
    const answer = await call()
    if (answer === false) return null
    if (!stays()) return answer
    const changes = [answer].flat().map((one) => one?.change_id).filter(Boolean)
    const undo = changes.length ? [[texts.undo, () => takeBack(changes)]] : []
    const told = answer?.failed ?? (typeof said === 'function' ? said(answer) : said)
    if (told) toast(told, ...undo, ...more(answer))
    if (after !== refresh || history.state?.at === at) await after(answer) // else it was left
    return answer
  } catch (error) {
    tell(error, () => act(said, call, options), stays)
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
      done.failed = error.words ?? texts.wrong
      break
    }
  }
  return done
}

/** again: offered where it may go well the next time. Who left is told only of a session's end. */
export function tell(error, again, stays = () => true) {
  if (!(error instanceof MemoriaError)) throw error
  if (user() && !stays()) return
  const passes = again && user() && !(error.status >= 400 && error.status < 500)
  toast(error.words, ...(passes ? [[texts.tryAgain, again]] : []))
}
