// Every call of clients/memoria.js, with its types held by tsc --strict, on the running stack.
import { createClient } from "@supabase/supabase-js";
import {
  createMemoria, drawFace, faceStyle, MemoriaError, type EventNews, type Memoria, type Person,
} from "./memoria.js";

declare const process: { env: Record<string, string>; exit(): never };
const app = JSON.parse(process.env.APP) as Record<string, string>;
const { event, how } = app;

function supabase(key: string, token?: string) {
  const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
  return createClient(app.url, key, {
    auth: { persistSession: false },
    global: { headers },
  });
}

const backend: Memoria = createMemoria({ supabase: supabase(app.secret) });
const host: Memoria = how === "supabase-js"
  ? createMemoria({ supabase: supabase(app.key, app.accessToken), searchUrl: app.searchUrl })
  : createMemoria({ url: app.url, key: app.key, accessToken: async () => app.accessToken, searchUrl: app.searchUrl });

function expect(holds: unknown, what: string): asserts holds {
  if (!holds) throw new Error(`not so: ${what}`);
}

async function refused(work: Promise<unknown>): Promise<MemoriaError> {
  const error = await work.then(() => undefined, (thrown: unknown) => thrown);
  expect(error instanceof MemoriaError, `refused, but ${String(error)}`);
  return error;
}

async function until(memoria: Memoria, event_id: string, enough: (news: EventNews) => boolean) {
  const all: EventNews[] = [];
  await new Promise<void>((done, fail) => {
    const late = setTimeout(() => fail(new Error(`only ${JSON.stringify(all)}`)), 60_000);
    const stop = memoria.watch(event_id, (news) => {
      all.push(news);
      if (enough(news)) {
        stop();
        clearTimeout(late);
        done();
      }
    }, { everyMs: 200 });
  });
  return all;
}

// an event and its photos
const made = await backend.createEvent({ event_id: event, owner_id: app.owner });
expect(made.owner_id === app.owner && made.status === "open", "the event is the owner's");
const photo = (number: number) => ({ media_id: `${event} ${number}`, bucket: "photos", path: `${number}.jpg` });
const first = await backend.enqueue({ event_id: event, ...photo(0) });
expect(first.status === "queued" || first.status === "dispatched", first.status);
const more = await backend.enqueueMany({ event_id: event, media: [photo(1), photo(2), { ...photo(3), path: "" }] });
const last = more.media[2];
expect("error" in last && last.error.code === "invalid", "a path of nothing is refused");

// how it goes
const news = await until(host, event, (told) => told.event === "people" && told.complete);
const progress = news.filter((told) => told.event === "progress");
expect(progress.length > 0 && progress[progress.length - 1].photos.pending === 0, "progress to the end");
const status = await host.eventStatus({ event_id: event });
expect(status.photos.completed === 3 && status.done, "every photo is looked at");

// reading
const people = await host.people({ event_id: event, limit: 4 });
expect(people.people.length === 4 && people.next, "a page of people");
const everybody: Person[] = await host.all("people", { event_id: event, limit: 2 });
expect(everybody.length === 6, "six people");
const [ann, bob] = everybody;
expect(ann.cover && ann.cover.bbox.w > 0, "a cover");
const photos = await host.personPhotos({ person_id: ann.person_id });
expect(photos.photos.length === 3 && photos.is_now === null, "their photos");
const both = await host.photosWith({ event_id: event, people: [ann.person_id, bob.person_id], match: "all" });
expect(both.photos[0].faces.length === 2, "the boxes of both");
const whole = await host.photo({ media_id: photo(0).media_id });
expect(whole.people.length === 6 && whole.faces.length === 6, "everybody in it");
expect((await host.all("media", { event_id: event, limit: 1 })).length === 3, "every photo, page by page");
expect((await host.unassignedFaces({ event_id: event })).faces.length === 0, "nobody is nobody's");

// drawing
const drawn: number[][] = [];
const canvas = { width: 100, height: 100, getContext: () => ({ drawImage: (_: unknown, ...at: number[]) => drawn.push(at) }) };
drawFace(canvas as never, { width: 600, height: 400 } as never, ann.cover, { margin: 0.2 });
const style = faceStyle(ann.cover, "https://app.example/a.jpg", { margin: 0.2 });
expect(drawn[0].length === 8 && style.backgroundRepeat === "no-repeat", "drawn");

// correcting
const face = photos.photos[0].faces[0];
expect((await host.renamePerson({ person_id: ann.person_id, name: "Ann" })).name === "Ann", "a name");
expect((await host.people({ event_id: event, name: "an" })).people[0].name === "Ann", "found by name");
const split = await host.splitPerson({ person_id: ann.person_id, face_ids: [face.face_id] });
expect((await host.assignFace({ face_id: face.face_id, person_id: ann.person_id })).person_id === ann.person_id, "back");
expect((await host.rejectFace({ face_id: face.face_id, person_id: ann.person_id })).person_id === null, "not Ann");
expect((await host.assignFace({ face_id: face.face_id })).person_id !== split.person_id, "somebody new");
expect((await host.mergePeople({ into: ann.person_id, from: [bob.person_id] })).person_id === ann.person_id, "one person");
expect((await host.personPhotos({ person_id: bob.person_id })).is_now === ann.person_id, "an old id stays good");
expect((await host.hidePerson({ person_id: ann.person_id, hidden: true })).hidden, "hidden");
await host.hidePerson({ person_id: ann.person_id, hidden: false });
const merged = await refused(host.renamePerson({ person_id: bob.person_id, name: "Bob" }));
expect(merged.code === "conflict" && merged.details.is_now === ann.person_id, "told who it is now");
expect(merged.details.name === "Ann", "and that person's name");
expect((await host.history({ event_id: event })).changes[0].kind === "shown", "what happened");

const [, carl, dora] = await host.all("people", { event_id: event });
const theirs = await host.personPhotos({ person_id: carl.person_id });
const [one, other] = theirs.photos.map((seen) => seen.faces[0].face_id);
expect((await host.setCover({ person_id: carl.person_id, face_id: other })).face_id === other, "another cover");
expect((await host.tellApart({ a: carl.person_id, b: dora.person_id })).change_id, "two people for good");
const rejected = await host.rejectFaces({ person_id: carl.person_id, face_ids: [one] });
const again = await host.assignFace({ face_id: one, person_id: dora.person_id });
const resting = await refused(host.undo({ change_id: rejected.change_id! }));
expect(resting.details.rest_on_it?.[0].change_id === again.change_id, "what rests on it");
await host.undo({ change_id: again.change_id! });
expect(rejected.change_id && (await host.undo({ change_id: rejected.change_id })).kind, "taken back");
expect((await host.history({ event_id: event, person_id: carl.person_id })).changes.length > 2, "their history");
expect((await host.suggestions({ event_id: event, kind: "same_person" })).total >= 0, "questions");
const gone = await refused(host.answerSuggestion({ id: crypto.randomUUID(), answer: "not_sure" }));
expect(gone.code === "suggestion_gone" && gone.status === 404, gone.code);
const corner = { x: 0, y: 0, w: 0.05, h: 0.05 };
const added = await host.addFace({ media_id: photo(0).media_id, bbox: corner });
expect((await host.dismissFace({ face_id: added.face_id })).face_id === added.face_id, "no face after all");

// members
const guest = crypto.randomUUID();
await host.addMember({ event_id: event, user_id: guest, role: "viewer" });
expect((await host.members({ event_id: event })).members[0].role === "viewer", "a member");
expect((await host.all("members", { event_id: event, limit: 1 })).length === 1, "all members");
expect((await host.removeMember({ event_id: event, user_id: guest })).removed, "no member");
expect(await host.mayFollow({ topic: `memoria:${event}` }), "the owner may follow");
expect(!(await host.mayFollow({ topic: "memoria:other" })), "and nothing else");

// guests
const link = await host.createSearchLink({ event_id: event, options: { label: "wedding", per_guest: 20 } });
const { search_consent_version: consent } = await host.searchLinks({ event_id: event });
await host.createSearchLink({ event_id: event, options: { label: "family" } });
const links = await host.all("searchLinks", { event_id: event, limit: 1 });
expect(links.map((one) => one.label).join() === "family,wedding", "every link, newest first, page by page");
const picture = await fetch(`${app.url}/storage/v1/object/photos/0.jpg`, {
  headers: { apikey: app.secret, Authorization: `Bearer ${app.secret}` },
});
const visitor = createMemoria({ searchUrl: app.searchUrl }); // no account, no key
const selfie = { token: link.token, images: [await picture.blob()], consent, guest: "José 李" };
const several = await refused(visitor.search(selfie));
expect(several.code === "several_faces" && several.faces?.length === 6 && several.words.includes("Which"), several.code);
const { x, y, w, h } = several.faces[0];
const found = await visitor.search({ ...selfie, point: { x: x + w / 2, y: y + h / 2 } });
expect(found.outcome === "found" && found.matches[0].photos[0].url, "the guest's photos");
const earlier = { token: link.token, guest: "José 李", search_id: found.search_id };
expect((await visitor.searchAgain(earlier)).photos.length > 0, "again, without a selfie");
expect((await visitor.requestRemoval(earlier)).removal_requested_at, "the wish to be taken out");
expect((await host.searches({ event_id: event })).searches.length === 2, "the audit");
expect((await refused(host.openSearch({ event_id: event, consent }))).code === "not_found", "no rule lets users search");
expect((await host.revokeSearchLink({ link_id: link.link_id })).revoked_at, "revoked");
expect((await refused(visitor.search(selfie))).status === 404, "a revoked link");

// errors
const wrong = await refused(host.people({ event_id: "another's" }));
expect(!Object.keys(wrong.details).length, "nothing more is told");
expect(wrong.code === "not_found" && wrong.status === 404 && wrong.words, "whoever may not is told nothing");
expect((await refused(host.media({ event_id: event, status: "x" as never }))).code === "invalid_request", "named");
expect((await refused(host.renamePerson({ person_id: "x", name: null }))).code === "invalid_request", "no uuid");
const nowhere = createMemoria({ url: "http://127.0.0.1:9", key: "k" });
expect((await refused(nowhere.people({ event_id: event }))).code === "unreachable", "nobody there");
const stranger = createMemoria({ url: app.url, key: app.key, accessToken: "not.a.token" });
expect((await refused(stranger.people({ event_id: event }))).code === "unauthorized", "a bad token");

// looking after it, to the end
expect((await host.forgetPerson({ person_id: ann.person_id })).faces_forgotten > 0, "forgotten");
expect((await host.setRetention({ event_id: event, days: 30 })).archive_at, "for thirty days");
expect((await host.recluster({ event_id: event })).job_id, "a run");
expect((await host.reprocess({ event_id: event })).queued > 0, "looked at again");
expect((await host.deleteMedia({ media_id: photo(2).media_id })).deleted, "a photo less");
expect((await host.archiveEvent({ event_id: event })).status === "archived", "archived");
expect((await refused(host.recluster({ event_id: event }))).code === "conflict", "an archived event takes no work");
expect((await host.reopenEvent({ event_id: event })).status === "open", "open again");
expect((await host.setOwner({ event_id: event, owner_id: guest })).owner_id === guest, "given away");
expect((await refused(host.deleteEvent({ event_id: event }))).code === "not_found", "no longer theirs");
expect((await backend.deleteEvent({ event_id: event })).deleted, "gone");

console.log(JSON.stringify({ drawn: drawn[0], style, bbox: ann.cover.bbox }));
process.exit(); // supabase-js goes on looking for a Realtime for most of a minute
