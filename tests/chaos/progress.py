"""How far a run is, asked of the database while it may be down."""

from collections import Counter
from dataclasses import dataclass, field

import psycopg

_PROGRESS = """
    select
      (select count(*) from memoria.media where status <> 'pending'),
      (select count(*) from memoria.media where status = 'pending')
        + (select count(*) from memoria.jobs where status in ('queued', 'dispatched', 'running')),
      (select array_agg(id) from memoria.events where clustered_at is not null),
      (
        select jsonb_object_agg(kind, n) from (
          select kind, count(*) as n from memoria.jobs
          where status in ('dispatched', 'running') group by kind
        ) as busy
      )
"""


@dataclass(slots=True)
class Progress:
    """The last known state, and the most jobs ever seen in flight."""

    database_url: str
    done: int = 0  # photos
    open: int = 0  # photos and jobs that are not done
    clustered: frozenset[str] = frozenset()  # events that were clustered at least once
    most_in_flight: Counter[str] = field(default_factory=Counter)
    known: bool = False

    def refresh(self) -> None:
        """``known`` tells whether the database answered."""
        self.known = False
        try:
            with psycopg.connect(self.database_url, connect_timeout=5) as connection:
                row = connection.execute(_PROGRESS).fetchone()
        except psycopg.Error:
            return
        assert row is not None
        self.done, self.open = int(row[0]), int(row[1])
        self.clustered = frozenset(row[2] or ())
        self.most_in_flight |= Counter(row[3] or {})
        self.known = True
