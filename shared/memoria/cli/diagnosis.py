"""What is wrong with an installation, read off what its database tells (``memoria_doctor``)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from memoria.agreement import Agreement
from memoria.contracts import Json

WANTED_EXTENSIONS = {
    "vector": "vectors cannot be stored: enable the extension vector, then apply the migrations",
    "pg_net": "no webhook leaves the database: enable the extension pg_net",
}
SIGNATURE_SECONDS = 300.0  # how old a signature may be on arrival: memoria/auth.py
_UNANSWERED = "never answered"
MISSED_NUDGES = 3  # single ones are lost in any healthy system, and found again by the sweeper


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``mend`` says what to do about it."""

    state: Literal["ok", "note", "wrong"]
    about: str
    detail: str
    mend: str = ""

    def __str__(self) -> str:
        """The line."""
        line = f"{self.state:<5}  {self.about}: {self.detail}"
        return f"{line}; {self.mend}" if self.mend else line


def ok(about: str, detail: str) -> Finding:
    """All is well."""
    return Finding("ok", about, detail)


def note(about: str, detail: str, mend: str = "") -> Finding:
    """It works, and you may want to know."""
    return Finding("note", about, detail, mend)


def wrong(about: str, detail: str, mend: str) -> Finding:
    """It does not work."""
    return Finding("wrong", about, detail, mend)


FIELDS = (  # that are always told
    "migrations", "extensions", "pg_net", "cron", "vault", "settings", "last_nudges",
)  # fmt: skip


def diagnose(told: Json) -> Iterator[Finding]:
    """Every finding that needs nothing but ``memoria_doctor``'s answer."""
    yield _migrations(told["migrations"])
    yield from _extensions(told)
    yield _cron(told["cron"], told.get("cron_error"))
    yield _vault(told["vault"], told.get("vault_faults") or {})
    yield _realtime(told.get("realtime") or {})
    yield from _addresses(told["settings"])
    yield _nudges(told["last_nudges"])
    yield from _large_events(told.get("needs_memory") or {})
    yield from _search(told.get("search") or {})
    yield from _followed(told.get("followed") or [], told.get("not_handed_over") or [])


def together(service: str, functions: Agreement | None, database: Agreement | None) -> Finding:
    """Whether the functions that are deployed and the database can work together."""
    about = f"{service} and database"
    if functions is None or database is None:
        silent = "the database" if functions else service
        return note(about, f"{silent} does not state which agreement it was made for")
    made_for = f"made for {functions.made_for} and {database.made_for}"
    if not database.accepts(functions):
        return wrong(about, f"{made_for}; the database needs functions for {database.works_with}",
                     "./deploy.sh: the functions are older than the database")  # fmt: skip
    if not functions.accepts(database):
        return wrong(about, f"{made_for}; the functions need a database for {functions.works_with}",
                     "supabase db push --remote: the database is the older one")  # fmt: skip
    return ok(about, f"work together, {made_for}")


def _migrations(versions: list[str]) -> Finding:
    if versions:
        return ok("migrations", f"{len(versions)} applied, the last is {versions[-1]}")
    return note("migrations", "not applied by the Supabase CLI, so nobody knows which", "db push")


def _extensions(told: Json) -> Iterator[Finding]:
    known = dict(told["extensions"])
    if told["pg_net"]:
        known.setdefault("pg_net", "present")
    for name, mend in WANTED_EXTENSIONS.items():
        if name in known:
            yield ok(name, str(known[name]))
        else:
            yield wrong(name, "not installed", mend)


def _cron(schedule: Json | None, error: str | None) -> Finding:
    mend = "enable the extension pg_cron, then run select public.memoria_configure('{}')"
    if schedule is None:
        why = f" ({error})" if error else ""
        detail = (
            f"nothing runs memoria_sweep{why}: only workers repair what is lost, while any work"
        )
        return wrong("cron", detail, mend)
    if not schedule["active"]:
        return wrong("cron", "the job memoria-sweep is switched off", mend)
    last = schedule.get("last_run") or {}
    if last.get("status") == "failed":
        return wrong(
            "cron", f"the last sweep failed: {last.get('message')}", "see cron.job_run_details"
        )
    return ok("cron", f"memoria-sweep runs every {schedule['schedule']}")


def _vault(present: bool, faults: dict[str, str]) -> Finding:
    if faults:
        detail = f"cannot read {', '.join(sorted(faults))}: {next(iter(faults.values()))}"
        return wrong("vault", detail, "./deploy.sh connect, which writes them anew")
    if present:
        return ok("vault", "keeps the functions' URLs and the secret")
    return note(
        "vault", "there is none: the secret lies in memoria.settings", "enable supabase_vault"
    )


def _realtime(realtime: dict[str, bool]) -> Finding:
    if not realtime.get("sends"):
        return note("realtime", "there is none: apps ask how an event stands")
    if not realtime.get("may_be_followed"):
        mend = "select public.memoria_configure('{}'), which makes the policy"
        return wrong("realtime", "tells of events, but no policy lets users follow them", mend)
    return ok("realtime", "tells whoever may see an event how it stands")


def _addresses(settings: Json) -> Iterator[Finding]:
    mend = "./deploy.sh connect, or select public.memoria_configure('{…}')"
    for name in ("process_url", "cluster_url"):
        if settings.get(name):
            yield ok(name, str(settings[name]))
        else:
            yield wrong(name, "not set: no webhook can be sent", mend)
    if settings.get("webhook_secret") == "set":
        yield ok("webhook_secret", "set in the database")
    else:
        yield wrong("webhook_secret", "not set in the database", mend)


def _nudges(nudges: list[Json]) -> Finding:
    """What became of the last webhooks, as far as pg_net still knows."""
    answers = [answer for nudge in nudges if (answer := _answer(nudge))]
    if not answers:
        return note("webhooks", "none was answered in the last hours")
    counts = Counter(answers)
    told = ", ".join(f"{count} × {answer}" for answer, count in counts.most_common())
    if counts[_UNANSWERED] >= MISSED_NUDGES:
        return wrong("webhooks", told, "pg_net stands still: select net.worker_restart();")
    if counts["401"] and all(_is_stale(nudge) for nudge in nudges if _answer(nudge) == "401"):
        mend = "they were over five minutes old when pg_net sent them, and are sent again"
        return note("webhooks", told, mend)
    if counts["401"]:
        mend = "the database holds another secret than the functions: ./deploy.sh connect"
        return wrong("webhooks", told, mend)
    missed = sum(not answer.startswith("2") for answer in answers)
    if missed >= MISSED_NUDGES and missed > len(answers) / 2:
        return wrong("webhooks", told, "do the functions answer at these URLs? see their logs")
    return ok("webhooks", told)


def _answer(nudge: Json) -> str:
    """The status of the answer, or why there was none; empty while the webhook is under way."""
    if nudge.get("timed_out"):
        return "2xx later"  # pg_net stopped waiting; the function goes on, and nothing is lost
    if nudge.get("status_code"):
        return str(nudge["status_code"])
    if nudge.get("unanswered"):
        return _UNANSWERED
    return str(nudge.get("error_msg") or "")


def _is_stale(nudge: Json) -> bool:
    """Whether its signature was too old on arrival: a stuck pg_net sends copies that late."""
    return float(nudge.get("answered_after_seconds") or 0) > SIGNATURE_SECONDS


def _large_events(told: Json) -> Iterator[Finding]:
    """Events that outgrew the instances of *cluster*."""
    if told.get("events"):
        detail = f"{told['events']} events wait for a larger instance: {told['last_message']}"
        yield wrong("large events", detail, "deploy cluster so; they run by themselves then")


def _search(told: Json) -> Iterator[Finding]:
    """Whether guests can be shown what their search finds."""
    if told.get("without_urls"):
        detail = (
            f"{told['without_urls']} of {told['open_links']} open links lead to an event with"
            " photos in Google Cloud Storage: guests get no url for them"
        )
        yield note("search", detail, "show them by media_id, through your backend")


def _followed(tables: list[str], told: list[Json]) -> Iterator[Finding]:
    """The app's tables that are followed, and rows that could not be handed over."""
    for row in told:
        detail = f"{row['rows']} rows of {row['table']}: {row['code']}: {row['last_message']}"
        if row["code"] == "broken":
            detail = f"changes of {row['table']} went by unnoticed, or will: {row['last_message']}"
            yield wrong("followed", detail, "call memoria_follow again: it finds what was missed")
        elif row["failed"]:
            yield wrong("handed over", detail, "mend the rows; a change of a row tries it again")
        else:
            yield note("handed over", detail)
    if tables and not told:
        yield ok("handed over", f"every row of {', '.join(tables)}")
