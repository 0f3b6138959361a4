/**
 * Memoria delivers at least once. This remembers the deliveries that this isolate has handled, so
 * that the usual duplicate (two nudges, one second apart) does its work once.
 *
 * An isolate's memory is short: work that must never be done twice needs a unique key in the
 * database as well (`insert … on conflict (delivery_id) do nothing`).
 */
export class Deliveries {
  #handled = new Map<string, Promise<void>>();

  constructor(private readonly remembered = 1000) {}

  /** Does the work for an id unless it was done, or is being done; what failed may be done again. */
  once(id: string, work: () => Promise<void>): Promise<void> {
    const earlier = this.#handled.get(id);
    if (earlier) return earlier;
    const now = work();
    this.#handled.set(id, now);
    now.catch(() => this.#handled.delete(id));
    if (this.#handled.size > this.remembered) {
      this.#handled.delete(this.#handled.keys().next().value!);
    }
    return now;
  }
}
