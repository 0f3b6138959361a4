"""Two whom a user told apart stay two: over many runs, other parameters, another model."""

import os
import random
from collections import Counter
from collections.abc import Iterator
from itertools import count
from uuid import UUID

import pytest

from local.processes.postgres import Postgres
from tests.database.project import Project, likeness
from tests.database.test_life import GUESTS, Life, Slot
from tests.database.test_undo import Host

LIVES = int(os.environ.get("APART_LIVES", "1"))
RUNS = int(os.environ.get("APART_RUNS", "8"))
DATABASES = count()


@pytest.fixture
def project(postgres_server: Postgres) -> Iterator[Project]:
    name = f"apart_{next(DATABASES)}"
    with Project(postgres_server.create_database(name, template="migrated")) as project:
        yield project
    postgres_server.drop_database(name)


class Siblings(Life):
    """Two whom the second model hardly tells from each other; no photo shows both."""

    places, alike = 1, 0.2

    def __init__(self, project: Project, seed: int) -> None:
        super().__init__(project)
        self.chance = random.Random(seed)
        self.invite(seed)
        for who in (0, 1):  # two names would bind, too
            self.a_person_is_renamed(who, 4)
        self.looks["large"][1] = likeness(self.looks["large"][0], 0.97, self.rng)
        self.pair = (self.most_of(0), self.most_of(1))
        owners = self.owners()
        self.one, self.other = (
            [slot for slot in self.shown(guest) if owners[slot] == person]
            for guest, person in enumerate(self.pair)
        )

    def most_of(self, guest: int) -> UUID:
        owners = self.owners()
        (most, _), *_ = Counter(owners[slot] for slot in self.shown(guest)).most_common(1)
        assert most is not None
        return most

    def shown(self, guest: int) -> list[Slot]:
        return [slot for slot, there in self.guest.items() if there == guest]

    def are_told_apart(self) -> None:
        self.does("tell_apart", a=self.pair[0], b=self.pair[1])
        self.apart.add(frozenset(self.pair))

    def passes(self, runs: int) -> bool:
        """So many runs, half of them after the change of model -> whether the two were ever one."""
        met = False
        for run in range(runs):
            model, everything = ("small", "large")[run >= runs // 2], run == runs // 2
            self.upload([0, 1, self.chance.randrange(GUESTS)], model)
            photos = len(self.guest) if everything else 6
            self.photos_are_looked_at_again(
                self.chance.randrange(99), photos, model, not everything
            )
            # a face that a model missed is another one when it is found again
            self.one, self.other = (
                [slot for slot in slots if slot in self.face] for slots in (self.one, self.other)
            )
            self.everybody_is_grouped(
                self.chance.choice([0.3, 0.4, 0.55, 0.8, 2.0]), self.chance.randint(2, 4)
            )
            self.nothing_said_is_undone()
            owners = self.owners()
            ones, others = (
                {owners.get(slot) for slot in slots} for slots in (self.one, self.other)
            )
            met = met or bool(ones & others - {None}) or self.are_asked_about()
        return met

    def are_asked_about(self) -> bool:
        asked = self.project.call("suggestions", event_id=self.event, kind="same_person", limit=500)
        return any(
            {UUID(question[side]["person_id"]) for side in ("into", "from")} == set(self.pair)
            for question in asked["suggestions"]
        )


@pytest.mark.parametrize("seed", range(LIVES))
def test_a_pair_told_apart_never_comes_back(project: Project, seed: int) -> None:
    told, untold = Siblings(project, seed), Siblings(project, seed)
    told.are_told_apart()
    assert not told.passes(RUNS)
    assert untold.passes(RUNS), "nothing would have joined them"


@pytest.mark.parametrize("said", ["told apart", "named", "no longer merged"])
def test_what_is_said_while_a_run_is_under_way_holds(project: Project, said: str) -> None:
    """Before, the run that did not know of it made Ann and Bob one."""
    party = Host(project)
    if said == "no longer merged":
        merged = party.does("merge_people", into=party.ann, **{"from": [party.bob]})
    claim = project.claim_run(party.event)
    everybody_is_one = project.group(party.event, epsilon=2.0, min_cluster_size=2)
    if said == "told apart":
        party.does("tell_apart", a=party.ann, b=party.bob)
    elif said == "named":
        for who, name in ((party.ann, "Ann"), (party.bob, "Bob")):
            party.does("rename_person", person_id=who, name=name)
    else:
        party.undo(merged)
    assert project.save(claim, everybody_is_one)["outcome"] == "stored"
    assert party.people(party.faces["Ann"]) == {party.ann}
    assert party.people(party.faces["Bob"]) == {party.bob}
    told = project.call("history", event_id=party.event)["changes"]
    assert not {change["kind"] for change in told if change["job_id"]} & {"merged", "gone"}
