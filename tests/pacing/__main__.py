"""``python -m tests.pacing``: the ceiling that pg_net's batches set, see docs/delivery.md."""
# ruff: noqa: T201 - a command prints

from local.supabase.pg_net import BATCH, NAP_SECONDS
from tests.pacing.measure import Setting, measure, open_stack

SETTINGS = (
    Setting(max_in_flight=8, function_seconds=0.5),
    Setting(max_in_flight=32, function_seconds=0.5),
    Setting(max_in_flight=32, function_seconds=2.0),
    Setting(max_in_flight=32, function_seconds=2.0, nudge_timeout_ms=1000),
    Setting(max_in_flight=100, function_seconds=0.5),
    Setting(max_in_flight=100, function_seconds=2.0),
    Setting(max_in_flight=100, function_seconds=4.0),
    Setting(max_in_flight=100, function_seconds=4.0, nudge_timeout_ms=1000),
)
ROUNDS = 8  # of everything in flight


def ceiling(setting: Setting) -> float:
    """Photos per second, from the rules of pg_net alone."""
    answered = min(setting.function_seconds, setting.nudge_timeout_ms / 1000)
    batches = min(setting.max_in_flight, BATCH) / (answered + NAP_SECONDS)
    return min(batches, setting.max_in_flight / setting.function_seconds)


def main() -> None:
    """Print one line per setting."""
    print("in flight  function  nudge timeout   photos/s  at most")
    with open_stack() as stack:
        for setting in SETTINGS:
            measured = measure(stack, setting, rows=ROUNDS * setting.max_in_flight)
            print(
                f"{setting.max_in_flight:>9}  {setting.function_seconds:>6.1f} s  "
                f"{setting.nudge_timeout_ms / 1000:>11.0f} s  {measured.per_second:>9.1f}  "
                f"{ceiling(setting):>7.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
