"""The tables: what was injected, what was found."""

from collections import Counter
from collections.abc import Iterable

from tests.chaos.findings import Finding
from tests.chaos.outages import Chaos
from tests.chaos.run import Report

_EXAMPLES = 5


def budget(injected: Counter[str], chaos: Chaos) -> list[str]:
    """Faults that were promised and did not come to pass: such a run proves too little."""
    webhooks = injected["webhooks to process: in all"]
    wanted = {
        "process: SIGKILL": chaos.kills,
        "process: SIGKILL in mid-request": 0.75 * chaos.kills,
        "process: frozen beyond its leases": chaos.freezes,
        "cluster: SIGKILL": 1,
        "database: crashed and recovered": len(chaos.crashes),
        "webhooks to process: dropped": 0.15 * webhooks,
        "webhooks to process: sent twice": 0.15 * webhooks,
        "webhooks to process: answered 429": 1,
        "webhooks to process: answered 503": 1,
        "storage and database API: stalled body": 1,
        "storage and database API: answered 503": 1,
        "callbacks: answered 500": 1,
    }
    return [
        f"{name}: {injected[name]}, wanted {least:.0f}"
        for name, least in wanted.items()
        if injected[name] < least
    ]


def tables(report: Report, findings: list[Finding], short: list[str]) -> str:
    """Everything as plain text."""
    injected = sorted(report.injected.items())
    webhooks = {
        service: report.injected[f"webhooks to {service}: in all"]
        for service in ("process", "cluster")
    }
    lines = ["Injected", *_rows((name, _share(name, count, webhooks)) for name, count in injected)]
    found = [
        (finding.promise, f"{finding.checked:>6} checked, {len(finding.broken)} broken")
        for finding in findings
    ]
    lines += ["", "Found", *_rows(found)]
    for finding in findings:
        lines += [f"    {finding.promise}: {example}" for example in finding.broken[:_EXAMPLES]]
    in_flight = ", ".join(f"{kind} {most}" for kind, most in sorted(report.most_in_flight.items()))
    lines += ["", f"Most jobs in flight at once: {in_flight}", f"Tries: {_tries(report)}"]
    if short:
        lines += ["", "Too few faults", *(f"  {line}" for line in short)]
    return "\n".join(lines)


def _rows(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"  {name:<45} {value}" for name, value in pairs]


def _share(name: str, count: int, webhooks: dict[str, int]) -> str:
    for service, total in webhooks.items():
        if name.startswith(f"webhooks to {service}: ") and not name.endswith("in all") and total:
            return f"{count:>6}  {count / total:5.1%}"
    return f"{count:>6}"


def _tries(report: Report) -> str:
    """How many photos took how many tries."""
    counts = Counter(job.tries for job in report.snapshot.ended("process"))
    return ", ".join(f"{photos} photos took {n}" for n, photos in sorted(counts.items()))
