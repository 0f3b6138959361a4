"""What a stack may do differently."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.processes.home import Home

ROOT = Path(__file__).parents[2]
NEW_PROJECT_BYTES = 52_428_800  # of an upload: what a new project of Supabase allows


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """By default everything runs, on free ports, and leaves nothing behind."""

    process_source: Path = ROOT / "functions" / "process" / "main.py"
    cluster_source: Path = ROOT / "functions" / "cluster" / "main.py"
    # for both functions, over the defaults
    environ: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)  # for memoria_configure, likewise
    threads: int = 8  # per function: Cloud Run's concurrency
    sweep_seconds: float = 30
    # services not to start: gateway pg_net cron process cluster
    without: frozenset[str] = frozenset()
    ports: Mapping[str, int] = field(default_factory=dict)  # by service, of postgres too
    postgres_settings: tuple[str, ...] = ()  # name=value, over local/processes/postgres.py's
    home: Home | None = None  # taken: what is kept; None leaves nothing behind
    app_sql: Path | None = None  # for a database that is new: what an app's own migration would do
    pages: bool = False  # serve the example apps, too
    size_limit: int = NEW_PROJECT_BYTES  # of an upload
