"""Which functions and which database can work together, whichever of the two was rolled out first.

Both state the number of the agreement that they were made for, and the oldest one of the other side
that they still work with. A change that the other side need not know leaves the numbers as they
are. One that it may profit from raises ``made_for``. One that it must know raises ``works_with``
too, and belongs in two releases: the first makes both sides ready, the second makes the change.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Agreement:
    """What one side states."""

    made_for: int
    works_with: int

    @classmethod
    def told(cls, answer: Mapping[str, Any]) -> Self | None:
        """What an answer (``/health``, ``memoria_doctor``) states; None where it is silent."""
        stated = answer.get("agreement") or {}
        try:
            return cls(int(stated["made_for"]), int(stated["works_with"]))
        except (TypeError, KeyError, ValueError):
            return None

    def json(self) -> dict[str, int]:
        """As ``/health`` tells it."""
        return asdict(self)

    def accepts(self, other: "Agreement") -> bool:
        """Whether the other side is new enough for this one."""
        return other.made_for >= self.works_with


OURS = Agreement(made_for=1, works_with=1)  # the database's: supabase/schemas/05_agreement.sql
