"""What is being done, for whoever sees no bars: a log, a pipe, a script."""

from rich.console import Console


def say(stage: str, console: Console) -> None:
    """One line where it begins; nothing on a terminal, where bars tell the same."""
    if not console.is_terminal:
        console.print(stage, markup=False)
