"""Search by selfie, on the real database: who may, how often, what is found, what is kept."""

import hashlib
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
import pytest
from postgrest.exceptions import APIError
from supabase import Client

from local.processes.postgres import Postgres
from memoria.arrays import F32
from memoria.search.likeness import Rule, alike_to_others, background
from memoria.store.jobs import Claim, vector_text
from tests.database.caller import Database
from tests.database.project import Project, likeness

BOX = (0.1, 0.1, 0.2, 0.2)
RULE = Rule(shared=0.5, dimensions=60, demand=6.5, slope=1.3, belongs=0.4, source="a test")
ONE_LOOK = {"weight": 0.95, "mean_length": 1.0}
HOST = uuid.UUID(int=1)
Json = dict[str, Any]


@pytest.fixture(scope="module")
def project(postgres_server: Postgres) -> Iterator[Project]:
    with Project(postgres_server.create_database("search", template="migrated")) as project:
        yield project
    postgres_server.drop_database("search")


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Party:
    """A grouped event of some people and one loose face, owned by a host."""

    def __init__(self, project: Project, people: int = 3) -> None:
        self.project = project
        self.event = f"party {uuid.uuid4()}"
        self.rng = np.random.default_rng(people)
        self.host = project.user(HOST)
        project.call("create_event", event_id=self.event, owner_id=HOST)
        self.centres = [self.new_face() for _ in range(people + 1)]
        for person, centre in enumerate(self.centres[:-1]):
            for number in range(4):
                self.add(f"{self.event} {person} {number}", centre)
        self.loose = self.add(f"{self.event} loose", self.centres[-1])
        project.cluster(self.event)

    def new_face(self) -> F32:
        vector = self.rng.standard_normal(512)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def add(self, photo: str, centre: F32) -> uuid.UUID:
        (face,) = self.project.process(self.event, photo, [(BOX, likeness(centre, 0.85, self.rng))])
        assert face is not None
        return face

    def selfie(self, person: int) -> F32:
        return likeness(self.centres[person], 0.85, self.rng)

    def link(self, **options: Any) -> str:
        made = call(self.host, "create_search_link", event_id=self.event, options=options)
        self.link_id = made["link_id"]
        return str(made["token"])

    def begin(self, token: str | None, guest: str | None = "g", consent: str | None = "1") -> Json:
        answer: Json = self.project.call(
            "begin_search",
            token_hash=token and hash_of(token),
            event_id=None if token else self.event,
            guest=guest,
            consent=consent,
        )
        return answer

    def search(self, token: str | None, selfie: F32, guest: str | None = "g") -> Json:
        begun = self.begin(token, guest)
        assert begun["outcome"] == "begun", begun
        return self.find(begun["search_id"], selfie) | {"search_id": begun["search_id"]}

    def find(self, search_id: str, selfie: F32, model: str = "small") -> Json:
        found: Json = self.project.call(
            "search",
            search_id=search_id,
            embedding=vector_text(selfie),
            model=model,
            rule=RULE.as_json() | ONE_LOOK,
        )
        return found

    def again(self, search_id: str, token: str, guest: str = "g") -> Json:
        found: Json = self.project.call(
            "search_again", search_id=search_id, token_hash=hash_of(token), guest=guest
        )
        return found


def call(client: Client, function: str, **arguments: Any) -> Any:
    named = {f"p_{name}": value for name, value in arguments.items()}
    return client.rpc(f"memoria_{function}", named).execute().data


def media(found: Json) -> set[str]:
    return {photo["media_id"] for match in found["matches"] for photo in match["photos"]}


@pytest.fixture(scope="module")
def party(project: Project) -> Party:
    return Party(project)


def test_a_guest_finds_the_own_photos_and_nobody_elses(party: Party) -> None:
    token = party.link()
    found = party.search(token, party.selfie(1))
    assert found["outcome"] == "found"
    assert media(found) == {f"{party.event} 1 {number}" for number in range(4)}
    assert found["matches"][0]["band"] == "sure"
    assert found["matches"][0]["confidence"] > 0.999
    assert found["searched"] == {"people": 3, "loose_faces": 1, "of_another_model": 0}
    assert found["complete"] is True


def test_a_face_that_belongs_to_nobody_is_found_too(party: Party) -> None:
    found = party.search(party.link(), party.selfie(3))
    assert media(found) == {f"{party.event} loose"}


def test_a_loose_face_that_was_dismissed_is_not_shown_again(project: Project) -> None:
    party = Party(project)
    token = party.link()
    done = party.search(token, party.selfie(3))["search_id"]
    assert len(party.again(done, token)["photos"]) == 1
    call(party.host, "dismiss_face", face_id=str(party.loose))
    assert party.again(done, token)["photos"] == []


def test_a_stranger_finds_nobody(party: Party) -> None:
    assert party.search(party.link(), party.new_face())["outcome"] == "nobody"


def test_the_databases_score_is_the_librarys(project: Project, party: Party) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        similarity, mean_length, zero = rng.uniform([-1, 0.4, 0], [1, 1, 0.3])
        weight, length, faces = rng.uniform(0.2, 2), rng.uniform(0.6, 1), rng.integers(1, 40)
        (row,) = project.rows(
            "select memoria.likeness(%s, %s, %s, %s, %s, %s, %s, %s) as score",
            *map(float, (similarity, weight, length, faces, mean_length, zero)),
            RULE.shared,
            RULE.dimensions,
        )
        ours = RULE.score(
            np.array([similarity]),
            (weight, length),
            np.array([faces]),
            np.array([mean_length]),
            zero,
        )
        assert row["score"] == pytest.approx(ours[0], rel=1e-9, abs=1e-9)


def test_the_databases_background_is_nearly_the_librarys(project: Project) -> None:
    event = Party(project, people=8)
    common = event.new_face()
    event.centres = [likeness(common, 0.5, event.rng) for _ in event.centres]
    for person, centre in enumerate(event.centres[:-1]):
        for number in range(4):
            event.add(f"{event.event} alike {person} {number}", centre)
    project.cluster(event.event)
    people = project.rows(
        "select centroid::text as centroid, mean_length, centroid_faces from memoria.persons"
        " where event_id = %s and centroid is not null",
        event.event,
    )
    assert len(people) == 16
    assert {row["centroid_faces"] for row in people} == {4}
    means = np.array(
        [np.fromstring(row["centroid"][1:-1], sep=",") * row["mean_length"] for row in people]
    )
    (row,) = project.rows("select memoria.background(%s, 'small') as zero", event.event)
    assert row["zero"] == pytest.approx(background(means), abs=0.005)
    assert row["zero"] > 0.03


def test_a_face_unlike_its_persons_others_is_kept_from_guests(project: Project) -> None:
    party = Party(project)
    photo, face = with_a_face_unlike_the_others(party, 0)
    theirs = {f"{party.event} 0 {number}" for number in range(4)}
    for token, expected in (
        (party.link(), theirs),
        (party.link(maybe=True), theirs | {photo}),
        (None, theirs | {photo}),
    ):
        found = party.search(token, party.selfie(0))
        assert media(found) == expected
        bands = {p["media_id"]: p["band"] for m in found["matches"] for p in m["photos"]}
        assert {name for name, band in bands.items() if band == "maybe"} == expected - theirs
        again = project.call(
            "search_again",
            search_id=found["search_id"],
            **(
                {"token_hash": hash_of(token), "guest": "g"} if token else {"event_id": party.event}
            ),
        )
        assert {p["media_id"]: p["band"] for p in again["photos"]} == bands
    call(party.host, "assign_face", face_id=face, person_id=identity_of(party, 0))
    assert media(party.search(party.link(), party.selfie(0))) == theirs | {photo}


def with_a_face_unlike_the_others(party: Party, person: int) -> tuple[str, str]:
    """A photo that a run put with a person, which shows a face unlike theirs; and that face."""
    photo = f"{party.event} {person} unlike"
    face = party.add(photo, likeness(party.centres[person], 0.4, party.rng))
    theirs = identity_of(party, person)
    party.project.sql.execute(
        "update memoria.faces set identity_id = %s, person_id = %s where id = %s",
        (theirs, theirs, face),
    )
    party.project.sql.execute("select memoria.refresh_centroids(array[%s]::uuid[])", (theirs,))
    return photo, str(face)


def identity_of(party: Party, person: int) -> str:
    (row,) = party.project.rows(
        "select identity_id from memoria.faces where media_id = %s", f"{party.event} {person} 0"
    )
    return str(row["identity_id"])


def test_what_a_host_took_back_shows_no_blurred_face(project: Project) -> None:
    party = Party(project)
    photo, face = with_a_face_unlike_the_others(party, 0)
    change = call(party.host, "assign_face", face_id=face, person_id=identity_of(party, 0))
    assert photo in media(party.search(party.link(), party.selfie(0)))
    call(party.host, "undo", change_id=change["change_id"])
    found = party.search(party.link(), party.selfie(0))
    assert photo not in media(found)
    assert len(media(found)) == 4


def test_another_models_look_shows_no_blurred_face(project: Project) -> None:
    party = Party(project)
    photo, _ = with_a_face_unlike_the_others(party, 0)
    token = party.link()
    found = party.search(token, party.selfie(0))
    assert photo not in media(found)
    looked = [(BOX, likeness(party.centres[0], 0.4, party.rng))]
    project.process(party.event, photo, looked, model="other")
    assert photo not in {p["media_id"] for p in party.again(found["search_id"], token)["photos"]}
    assert photo not in media(party.search(token, party.selfie(0)))


def test_photos_that_only_the_former_model_could_look_at_are_shown(project: Project) -> None:
    party = Party(project)
    token = party.link()
    found = party.search(token, party.selfie(0))
    for number in range(1, 4):  # the object of the first one is gone
        looked = [(BOX, likeness(party.centres[0], 0.85, party.rng))]
        project.process(party.event, f"{party.event} 0 {number}", looked, model="other")
    project.cluster(party.event)
    again = {p["media_id"] for p in party.again(found["search_id"], token)["photos"]}
    assert again == {f"{party.event} 0 {number}" for number in range(4)}


def test_a_picture_that_nobody_has_looked_at_is_shown_to_no_guest(project: Project) -> None:
    party = Party(project)
    token = party.link()
    found = party.search(token, party.selfie(0))
    photo = f"{party.event} 0 0"
    elsewhere = {"event_id": party.event, "bucket": "photos", "path": "somebody-elses.jpg"}
    project.call("enqueue", media_id=photo, **elsewhere)
    assert photo not in media(party.search(token, party.selfie(0)))
    assert photo not in {p["media_id"] for p in party.again(found["search_id"], token)["photos"]}
    (job,) = project._waiting("process", photo)
    claim = project.jobs.claim("process", job, party.event, photo)
    assert isinstance(claim, Claim)
    failure = {"code": "media_forbidden", "message": "It went wrong.", "policy": "terminal"}
    project.call("fail", job_id=claim.job_id, token=claim.token, **failure)
    assert len(media(party.search(token, party.selfie(0)))) == 3


def test_a_photo_of_another_event_is_not_shown_again(project: Project) -> None:
    party, other = Party(project), f"private {uuid.uuid4()}"
    token = party.link()
    found = party.search(token, party.selfie(3))
    photo = f"{party.event} loose"
    assert media(found) == {photo}
    call(party.host, "delete_media", media_id=photo)
    project.process(other, photo, [(BOX, likeness(party.centres[3], 0.85, party.rng))])
    asked = {"token_hash": hash_of(token), "guest": "g"}
    project.call("request_removal", search_id=found["search_id"], **asked)
    assert party.again(found["search_id"], token)["photos"] == []
    (audited,) = call(party.host, "searches", event_id=party.event)["searches"]
    assert audited["take_out"] == []


def test_a_merge_that_is_taken_back_leaves_a_guest_their_own_photos(project: Project) -> None:
    party = Party(project)
    mine, theirs = identity_of(party, 0), identity_of(party, 1)
    merged = call(party.host, "merge_people", into=theirs, **{"from": [mine]})
    token = party.link()
    found = party.search(token, party.selfie(0))
    assert len(media(found)) == 8
    (audited,) = call(party.host, "searches", event_id=party.event)["searches"]
    assert audited["people"] == [theirs]
    call(party.host, "undo", change_id=merged["change_id"])
    again = party.again(found["search_id"], token)
    assert {p["media_id"] for p in again["photos"]} == {f"{party.event} 0 {n}" for n in range(4)}
    (audited,) = call(party.host, "searches", event_id=party.event)["searches"]
    assert audited["people"] == [mine]


def test_the_database_compares_a_face_with_its_persons_others(project: Project) -> None:
    party = Party(project)
    rows = project.rows(
        "select identity_id, embedding::text as vector, memoria.alike_to_others(faces) as alike"
        " from memoria.faces where event_id = %s and identity_id is not null",
        party.event,
    )
    vectors = np.array([np.fromstring(row["vector"][1:-1], sep=",") for row in rows])
    of = np.array([str(row["identity_id"]) for row in rows])
    assert len(rows) == 12
    for place, row in enumerate(rows):
        others = vectors[(of == of[place]) & (np.arange(len(rows)) != place)].mean(axis=0)
        expected = others @ vectors[place] / np.linalg.norm(others)
        assert row["alike"] == pytest.approx(expected, abs=1e-4)
        mean = vectors[of == of[place]].mean(axis=0)
        length = float(np.linalg.norm(mean))
        ours = alike_to_others(vectors[[place]] @ mean / length, 4, length)
        assert ours[0] == pytest.approx(expected, abs=1e-6)


def test_hidden_people_are_never_found_and_merged_ones_are_one(project: Project) -> None:
    party = Party(project)
    token = party.link()
    of = project.person_of(party.event)
    ids = [
        next(person for face, person in of.items() if face_is(project, face, party.event, number))
        for number in range(3)
    ]
    call(party.host, "merge_people", into=str(ids[0]), **{"from": [str(ids[1])]})
    found = party.search(token, party.selfie(1))
    assert [match["subject"] for match in found["matches"]] == [str(ids[0])]
    assert len(media(found)) == 8
    call(party.host, "hide_person", person_id=str(ids[0]), hidden=True)
    assert party.search(token, party.selfie(1))["outcome"] == "nobody"
    assert party.again(found["search_id"], token)["photos"] == []


def face_is(project: Project, face: uuid.UUID, event: str, person: int) -> bool:
    (row,) = project.rows("select media_id from memoria.faces where id = %s", face)
    return str(row["media_id"]).startswith(f"{event} {person} ")


def test_without_the_current_consent_nothing_is_counted(party: Party) -> None:
    token = party.link()
    for consent in (None, "", "0"):
        assert party.begin(token, consent=consent)["outcome"] == "consent_required"
    (link,) = [
        link
        for link in call(party.host, "search_links", event_id=party.event)["links"]
        if link["link_id"] == party.link_id
    ]
    assert link["searches"] == 0


def test_unknown_expired_revoked_and_foreign_tokens_look_the_same(
    project: Project, party: Party
) -> None:
    late, gone = party.link(), party.link()
    call(party.host, "revoke_search_link", link_id=party.link_id)
    project.sql.execute(
        "update memoria.search_links set expires_at = now() - interval '1 second'"
        " where token_hash = %s",
        (hashlib.sha256(late.encode()).digest(),),
    )
    token = party.link()
    answers = [party.begin(one) for one in ("unheard-of-token-0123456789", late, gone)]
    answers.append(
        project.call("begin_search", token_hash=hash_of(token), event_id="another", consent="1")
    )
    assert answers == [{"outcome": "not_found"}] * 4
    assert party.begin(token)["outcome"] == "begun"


def test_a_revoked_link_ends_searches_that_were_begun(party: Party) -> None:
    token = party.link()
    begun = party.begin(token)["search_id"]
    done = party.search(token, party.selfie(0))
    call(party.host, "revoke_search_link", link_id=party.link_id)
    assert party.find(begun, party.selfie(0)) == {"outcome": "not_found"}
    assert party.again(done["search_id"], token) == {"outcome": "not_found"}


def test_another_guest_of_the_link_cannot_read_a_search(party: Party) -> None:
    token = party.link()
    done = party.search(token, party.selfie(0), guest="one")
    assert len(party.again(done["search_id"], token, "one")["photos"]) == 4
    assert party.again(done["search_id"], token, "two") == {"outcome": "not_found"}


def test_a_search_is_answered_again_thirty_times_a_minute(project: Project) -> None:
    party = Party(project, people=1)
    token = party.link()
    done = party.search(token, party.selfie(0))["search_id"]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: party.again(done, token)["outcome"], range(35)))
    assert answers.count("found") == 30
    refusal = party.again(done, token)
    assert refusal["message"] == "ask again in a minute"
    assert 1 <= refusal["retry_after"] <= 60
    project.sql.execute(
        "update memoria.searches set again_from = again_from - interval '1 minute' where id = %s",
        (done,),
    )
    assert party.again(done, token)["outcome"] == "found"


def test_an_events_searches_are_answered_again_as_often_as_it_is_searched(project: Project) -> None:
    party = Party(project, people=1)
    token = party.link()
    done = [party.search(token, party.selfie(0))["search_id"] for _ in range(2)]
    project.call("configure", settings={"searches_per_minute": 3})
    try:
        answers = [party.again(one, token)["outcome"] for one in done * 2]
    finally:
        project.call("configure", settings={"searches_per_minute": 600})
    assert answers == ["found"] * 3 + ["too_many_searches"]


def test_a_link_answers_exactly_as_often_as_it_says(project: Project) -> None:
    party = Party(project, people=1)
    token = party.link(max_searches=25)
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(
            threads.map(lambda guest: party.begin(token, str(guest))["outcome"], range(40))
        )
    assert outcomes.count("begun") == 25
    assert outcomes.count("too_many_searches") == 15


def test_a_link_that_is_used_up_says_so_before_a_selfie(project: Project) -> None:
    """Until it ends; whoever was found by it can look again."""
    party = Party(project, people=1)
    token = party.link(max_searches=1)
    assert party.begin(token, consent="")["outcome"] == "consent_required"
    found = party.search(token, party.selfie(0))
    for consent in ("1", ""):
        refused = party.begin(token, consent=consent)
        assert refused["outcome"] == "too_many_searches"
        assert 167 * 3600 < refused["retry_after"] <= 168 * 3600
    assert party.again(found["search_id"], token)["outcome"] == "found"


def test_a_guest_is_slowed_down(party: Party) -> None:
    token = party.link(per_guest=3)
    for _ in range(3):
        assert party.begin(token, "eager")["outcome"] == "begun"
    refused = party.begin(token, "eager")
    assert refused["outcome"] == "too_many_searches"
    assert 0 < refused["retry_after"] <= 600
    assert party.begin(token, "another")["outcome"] == "begun"
    earlier(party, "searches", "9 minutes")
    assert party.begin(token, "eager")["outcome"] == "too_many_searches"
    earlier(party, "searches", "1 minute")
    assert party.begin(token, "eager")["outcome"] == "begun"


def earlier(party: Party, table: str, by: str) -> None:
    """As if an event's searches, or links, had been made before."""
    party.project.sql.execute(
        f"update memoria.{table} set created_at = created_at - %s::interval where event_id = %s",
        (by, party.event),
    )


def test_an_event_is_searched_so_often_a_minute_whoever_asks(project: Project) -> None:
    party = Party(project, people=1)
    project.call("configure", settings={"searches_per_minute": 3})
    try:
        tokens = [party.link(), party.link(), None, party.link()]
        answers = [party.begin(token, f"g{n}") for n, token in enumerate(tokens)]
        earlier(party, "searches", "1 minute")
        answers.append(party.begin(party.link()))
    finally:
        project.call("configure", settings={"searches_per_minute": 600})
    begun = ["begun"] * 3
    assert [a["outcome"] for a in answers] == [*begun, "too_many_searches", "begun"]


def test_one_guest_is_at_most_three_people(project: Project) -> None:
    party = Party(project, people=5)
    token = party.link()
    for person in range(3):
        assert party.search(token, party.selfie(person), "curious")["outcome"] == "found"
    begun = party.begin(token, "curious")["search_id"]
    assert party.find(begun, party.selfie(3)) == {"outcome": "person_limit"}
    # the people this guest was before are still theirs, and others are not slowed down
    assert party.search(token, party.selfie(1), "curious")["outcome"] == "found"
    assert party.search(token, party.selfie(3), "another")["outcome"] == "found"
    (audit,) = [
        search
        for search in call(party.host, "searches", event_id=party.event)["searches"]
        if search["outcome"] == "person_limit"
    ]
    assert audit["people"] == []


def test_whom_a_guest_may_be_is_no_bridge_to_another_person(project: Project) -> None:
    party = Party(project)
    token = party.link(maybe=True, people_per_guest=1)
    for share in np.linspace(0.3, 0.9, 40):  # a picture a little like another guest too
        mixed = party.centres[0] + share * party.centres[1]
        selfie = (mixed / np.linalg.norm(mixed)).astype(np.float32)
        bands = [match["band"] for match in party.search(None, selfie, None)["matches"]]
        if bands == ["sure", "maybe"]:
            break
    assert bands == ["sure", "maybe"]
    both = party.search(token, selfie, "bridge")
    assert len(both["matches"]) == 2
    begun = party.begin(token, "bridge")["search_id"]
    assert party.find(begun, party.selfie(1)) == {"outcome": "person_limit"}


def test_a_signed_in_guest_opens_only_so_many_searches(project: Project) -> None:
    party = Party(project)
    eager = project.user(uuid.UUID(int=5))
    with everybody_may_search(project):
        for _ in range(20):
            call(eager, "open_search", event_id=party.event, consent="1")
        for by in ("0", "14 minutes"):
            earlier(party, "search_links", by)
            with pytest.raises(APIError) as refused:
                call(eager, "open_search", event_id=party.event, consent="1")
            assert refused.value.code == "PT429"
        earlier(party, "search_links", "1 minute")
        call(eager, "open_search", event_id=party.event, consent="1")


def test_a_guest_stays_one_person_while_the_event_grows(project: Project) -> None:
    """A loose face finds its person, two people are merged: it is the same guest."""
    party = Party(project)
    token = party.link(people_per_guest=1)
    assert party.search(token, party.selfie(3))["outcome"] == "found"
    for number in range(4):
        party.add(f"{party.event} 3 {number}", party.centres[3])
    project.cluster(party.event)
    found = party.search(token, party.selfie(3))
    (match,) = found["matches"]
    assert match["is_person"]
    other = party.search(None, party.selfie(0), None)["matches"][0]["subject"]
    call(party.host, "merge_people", into=other, **{"from": [match["subject"]]})
    assert party.search(token, party.selfie(3))["outcome"] == "found"
    begun = party.begin(token)["search_id"]
    assert party.find(begun, party.selfie(1)) == {"outcome": "person_limit"}


def test_the_apps_backend_is_no_guest_of_its_own(project: Project) -> None:
    """It asks for many guests: what limits one of them does not limit all."""
    party = Party(project, people=5)
    for attempt in range(12):
        assert party.search(None, party.selfie(attempt % 5), guest=None)["outcome"] == "found"
    assert party.begin(party.link(), guest=None) == {"outcome": "guest_required"}
    for person in range(3):
        assert party.search(None, party.selfie(person), "one")["outcome"] == "found"
    begun = party.begin(None, "one")["search_id"]
    assert party.find(begun, party.selfie(3)) == {"outcome": "person_limit"}


def test_whoever_tries_200_strangers_photos_is_stopped_at_the_fourth_person(
    project: Project,
) -> None:
    """Signed in, with a new token whenever one is used up, and all the time in the world."""
    party = Party(project, people=8)
    curious = project.user(uuid.UUID(int=6))
    with everybody_may_search(project):
        outcomes = []
        for attempt in range(200):
            if attempt % 10 == 0:
                token = call(curious, "open_search", event_id=party.event, consent="1")["token"]
                for table in ("searches", "search_links"):
                    project.sql.execute(
                        f"update memoria.{table} set created_at = created_at - interval '1 hour'"
                        " where event_id = %s",
                        (party.event,),
                    )
            face = party.selfie(attempt // 10 % 8) if attempt % 5 == 0 else party.new_face()
            begun = party.begin(token, guest=f"another name {attempt}")
            outcomes.append(party.find(begun["search_id"], face)["outcome"])
    assert set(outcomes[:30]) == {"found", "nobody"}
    assert set(outcomes[30:80]) == {"person_limit", "nobody"}
    seen = {
        person
        for search in call(party.host, "searches", event_id=party.event, limit=1000)["searches"]
        for person in search["people"]
    }
    assert len(seen) == 3


def test_photos_in_google_cloud_that_guests_get_no_url_for_are_counted(project: Project) -> None:
    party = Party(project)
    party.link()
    before = project.call("doctor")["search"]
    project.sql.execute(
        "update memoria.media set bucket = 'gs://b' where id = %s", (f"{party.event} 0 0",)
    )
    after = project.call("doctor")["search"]
    assert after["open_links"] == before["open_links"]
    assert after["without_urls"] == before["without_urls"] + 1


def test_what_cannot_be_searched_says_why(project: Project) -> None:
    party = Party(project)
    token = party.link()
    begun = party.begin(token)["search_id"]
    assert party.find(begun, party.selfie(0), model="other") == {"outcome": "model_changed"}
    project.call("create_event", event_id=f"{party.event} empty", owner_id=HOST)
    empty = project.call("begin_search", event_id=f"{party.event} empty", consent="1")
    assert empty == {"outcome": "not_grouped_yet"}
    call(party.host, "archive_event", event_id=party.event)
    for consent in ("1", ""):  # a page may ask before it takes a selfie
        assert party.begin(token, consent=consent) == {"outcome": "event_archived"}


def test_nothing_of_the_selfie_is_stored(project: Project, party: Party) -> None:
    selfie = party.selfie(2)
    party.search(party.link(), selfie)
    text = vector_text(selfie)[1:40]
    tables = project.rows("select tablename from pg_tables where schemaname = 'memoria'")
    for table in tables:
        found = project.rows(
            f"select count(*) as n from memoria.{table['tablename']} as rows"
            " where position(%s in rows::text) > 0",
            text,
        )
        assert found[0]["n"] == 0, table


def test_forgetting_a_person_takes_them_out_of_the_audit(project: Project) -> None:
    party = Party(project)
    found = party.search(party.link(), party.selfie(0))
    who = found["matches"][0]["subject"]
    call(party.host, "forget_person", person_id=who)
    audit = call(party.host, "searches", event_id=party.event)["searches"]
    assert [search["people"] for search in audit] == [[]]


def test_a_loose_face_that_is_forgotten_leaves_the_audit(project: Project) -> None:
    party = Party(project)
    party.search(party.link(), party.selfie(3))
    person = call(party.host, "assign_face", face_id=str(party.loose))["person_id"]
    call(party.host, "forget_person", person_id=person)
    audit = call(party.host, "searches", event_id=party.event)["searches"]
    assert [(search["outcome"], search["loose_faces"]) for search in audit] == [("found", 0)]


def test_a_guest_can_ask_to_be_taken_out(party: Party) -> None:
    token = party.link()
    done = party.search(token, party.selfie(0), "shy")
    asked = party.project.call(
        "request_removal", search_id=done["search_id"], token_hash=hash_of(token), guest="shy"
    )
    assert asked["outcome"] == "requested"
    audit = call(party.host, "searches", event_id=party.event)["searches"]
    asked_for = [s for s in audit if s["removal_requested_at"]]
    assert [search["search_id"] for search in asked_for] == [done["search_id"]]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"expires_in_hours": 0}, "expires_in_hours"),
        ({"expires_in_hours": 9000}, "expires_in_hours"),
        ({"max_searches": 1.5}, "max_searches"),
        ({"per_guest": "3"}, "per_guest"),
        ({"maybe": 1}, "maybe"),
        ({"label": ""}, "label"),
        ({"lable": "x"}, "lable"),
    ],
)
def test_options_are_checked_by_name(party: Party, options: Json, named: str) -> None:
    with pytest.raises(APIError, match=named):
        party.link(**options)


def test_only_who_manages_the_event_makes_links_and_reads_the_audit(
    project: Project, party: Party
) -> None:
    guest, viewer = project.user(uuid.UUID(int=9)), uuid.UUID(int=8)
    project.call("add_member", event_id=party.event, user_id=viewer, role="viewer")
    party.link()
    for client in (guest, project.user(viewer)):
        for function, arguments in (
            ("create_search_link", {"event_id": party.event}),
            ("search_links", {"event_id": party.event}),
            ("searches", {"event_id": party.event}),
            ("set_retention", {"event_id": party.event, "days": 3}),
            ("revoke_search_link", {"link_id": party.link_id}),
            ("open_search", {"event_id": party.event, "consent": "1"}),
        ):
            with pytest.raises(APIError) as refused:
                call(client, function, **arguments)
            assert refused.value.code == "PT404", function
        for function in ("begin_search", "search", "search_again"):
            with pytest.raises(APIError) as refused:
                call(client, function)
            assert refused.value.code in ("42501", "PGRST202"), function


@contextmanager
def everybody_may_search(project: Project) -> Iterator[None]:
    (rule,) = project.rows("select pg_get_functiondef('memoria.can_search_event'::regproc) as sql")
    project.sql.execute(
        "create or replace function memoria.can_search_event(p_event_id text) returns boolean"
        " language sql stable security definer set search_path = '' as 'select true'"
    )
    try:
        yield
    finally:
        project.sql.execute(rule["sql"])


def test_a_signed_in_guest_searches_where_the_app_allows_it(project: Project) -> None:
    party = Party(project)
    guest = project.user(uuid.UUID(int=7))
    with everybody_may_search(project):
        with pytest.raises(APIError, match="onsent") as told:
            call(guest, "open_search", event_id=party.event, consent="0")
        assert told.value.details == '{"code": "consent_required"}'
        token = call(guest, "open_search", event_id=party.event, consent="1")["token"]
        # whatever the page says: the guest is the user
        for name in ("a", "b", "c"):
            assert party.search(token, party.selfie(0), name)["outcome"] == "found"
        guests = "select distinct guest from memoria.searches where event_id = %s"
        assert len(project.rows(guests, party.event)) == 1


def test_an_events_time_ends_by_itself(project: Project) -> None:
    party = Party(project)
    at = call(party.host, "set_retention", event_id=party.event, days=30)["archive_at"]
    assert at is not None
    with pytest.raises(APIError, match="p_days"):
        call(party.host, "set_retention", event_id=party.event, days=0)
    project.sql.execute(
        "update memoria.events set archive_at = now() - interval '1 minute' where id = %s",
        (party.event,),
    )
    project.call("sweep")
    assert call(party.host, "event_status", event_id=party.event)["status"] == "archived"


def test_an_event_keeps_its_time_through_archiving_and_opening(project: Project) -> None:
    """Before, one that was opened again was kept for ever, whatever its host had said."""
    party = Party(project)
    at = call(party.host, "set_retention", event_id=party.event, days=30)["archive_at"]
    kept = "select archive_at from memoria.events where id = %s"
    for change in ("archive_event", "reopen_event"):
        call(party.host, change, event_id=party.event)
        assert project.rows(kept, party.event)[0]["archive_at"] == datetime.fromisoformat(at)
    project.sql.execute(
        "update memoria.events set archive_at = now() - interval '1 minute' where id = %s",
        (party.event,),
    )
    project.call("sweep")
    call(party.host, "reopen_event", event_id=party.event)
    assert project.rows(kept, party.event) == [{"archive_at": None}]
    project.call("sweep")
    assert call(party.host, "event_status", event_id=party.event)["status"] == "open"


def test_who_asks_to_be_taken_out_is_first_and_the_host_can_act(project: Project) -> None:
    """Before, a hundred later searches hid the request, and loose faces were a number."""
    party = Party(project)
    token = party.link()
    found = party.search(token, party.selfie(3), "shy")
    party.search(token, party.selfie(0), "later")
    project.call(
        "request_removal", search_id=found["search_id"], token_hash=hash_of(token), guest="shy"
    )
    (first,) = call(party.host, "searches", event_id=party.event, limit=1)["searches"]
    assert first["search_id"] == found["search_id"]
    (face,) = first["take_out"]
    assert (face["face_id"], face["person_id"]) == (str(party.loose), None)
    second = call(party.host, "searches", event_id=party.event)["searches"][1]
    assert second["take_out"] == []
    person = call(party.host, "assign_face", face_id=face["face_id"])["person_id"]
    (first,) = call(party.host, "searches", event_id=party.event, limit=1)["searches"]
    assert first["take_out"][0]["person_id"] == person
    call(party.host, "forget_person", person_id=person)
    (first,) = call(party.host, "searches", event_id=party.event, limit=1)["searches"]
    assert first["take_out"] == []


def test_a_request_is_kept_as_long_as_a_search(project: Project) -> None:
    """Before, it went with its search, perhaps a day after it was made."""
    party = Party(project)
    token = party.link(expires_in_hours=2000)
    found = party.search(token, party.selfie(0), "shy")
    project.sql.execute(
        "update memoria.searches set created_at = now() - interval '31 days' where event_id = %s",
        (party.event,),
    )
    project.call(
        "request_removal", search_id=found["search_id"], token_hash=hash_of(token), guest="shy"
    )
    project.call("sweep")
    assert len(call(party.host, "searches", event_id=party.event)["searches"]) == 1
    project.sql.execute(
        "update memoria.searches set removal_requested_at = now() - interval '31 days'"
        " where event_id = %s",
        (party.event,),
    )
    project.call("sweep")
    assert call(party.host, "searches", event_id=party.event)["searches"] == []


def test_an_archived_event_is_not_searched_again(project: Project) -> None:
    """Before, its guests went on being shown photos, and anew when it had been closed."""
    party = Party(project)
    token = party.link()
    found = party.search(token, party.selfie(0))
    call(party.host, "archive_event", event_id=party.event)
    assert party.again(found["search_id"], token) == {"outcome": "event_archived"}
    call(party.host, "reopen_event", event_id=party.event)
    assert party.again(found["search_id"], token)["outcome"] == "found"


def test_the_audit_is_pruned(project: Project) -> None:
    party = Party(project)
    party.search(party.link(), party.selfie(0))
    project.sql.execute(
        "update memoria.searches set created_at = now() - interval '31 days' where event_id = %s",
        (party.event,),
    )
    project.call("sweep")
    assert call(party.host, "searches", event_id=party.event)["searches"] == []


def test_old_links_are_pruned_ten_thousand_at_once_and_waited_for_by_nobody(db: Database) -> None:
    db.service("create_event", event_id="party")
    db.do(
        "insert into memoria.search_links"
        " (event_id, token_hash, expires_at, max_searches, per_guest, people_per_guest)"
        " select 'party', int4send(n), now() - interval '1 year' - n * interval '1 second', 1, 1, 1"
        " from generate_series(1, 10002) as n"
    )
    db.service.connection.execute("set lock_timeout = '500ms'")
    with psycopg.connect(db.url) as other:
        other.execute("select from memoria.search_links where token_hash = int4send(7) for update")
        db.service("sweep")
        assert db.value("select count(*) from memoria.search_links") == 2
        db.service("sweep")
    assert db.rows("select token_hash from memoria.search_links") == [(7).to_bytes(4)]
