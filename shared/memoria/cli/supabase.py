"""``memoria supabase install DIR`` and ``upgrade DIR``: beside an app's own migrations."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import memoria
from memoria.cli.install import (
    CONFIG,
    FUNCTION,
    MIGRATIONS,
    RECORD,
    CannotInstall,
    Plan,
    Record,
    plan,
)
from memoria.cli.terminal import plain

OURS = Path(memoria.__file__).parents[2] / "supabase"
_NEXT = {  # what was written -> the command that brings it to the project
    MIGRATIONS: "db push --remote",
    FUNCTION: "functions deploy ml-callback",
}
_FIRST = "secrets set CALLBACK_SECRET=…"


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("supabase", help="put Memoria into an app's own supabase folder")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    for verb, text in (
        ("install", "copy our migrations and the callback's Edge Function"),
        ("upgrade", "add what is new since the release that was installed"),
    ):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("folder", type=Path, help="the app's folder: the one that holds supabase/")


def run(arguments: argparse.Namespace) -> int:
    """0: done; 1: some files were left behind, because somebody edited them."""
    place = arguments.folder / "supabase"
    theirs = _files(place)
    if problem := _wrong_verb(arguments.verb, theirs, arguments.folder):
        raise CannotInstall(problem)
    now = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
    made = plan(_ours(), theirs, memoria.__version__, now)
    for path, content in made.writes.items():
        _write(place / path, content)
    _tell(made, arguments.folder, is_first=RECORD not in theirs)
    return 1 if made.behind else 0


def _wrong_verb(verb: str, theirs: dict[str, bytes], folder: Path) -> str:
    if RECORD not in theirs:
        return (
            f"Memoria is not there yet: memoria supabase install {folder}"
            if verb == "upgrade"
            else ""
        )
    release = Record.read(theirs[RECORD]).release
    if verb == "install" and release != memoria.__version__:
        return f"release {release} is there: memoria supabase upgrade {folder}"
    return ""


def _ours() -> dict[str, bytes]:
    found = _files(OURS)
    ours = {path: text for path, text in found.items() if path.startswith((MIGRATIONS, FUNCTION))}
    if not ours:
        raise CannotInstall(f"Memoria's own supabase folder is not beside it: {OURS}")
    return ours


def _files(folder: Path) -> dict[str, bytes]:
    """The files that matter here, by their path below ``supabase/``."""
    found = [folder / "config.toml", folder / RECORD, *folder.glob("migrations/*.sql")]
    found += [path for path in folder.glob(f"{FUNCTION}**/*") if "node_modules" not in path.parts]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in found if path.is_file()
    }


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _tell(made: Plan, folder: Path, *, is_first: bool) -> None:
    for path in made.writes:
        sys.stdout.write(f"wrote supabase/{plain(path)}\n")
    for path in made.edited:
        what = "behind this release" if path in made.behind else "left as it is"
        sys.stdout.write(f"edited or moved by somebody, {what}: supabase/{plain(path)}\n")
    if not made.writes:
        sys.stdout.write(f"release {memoria.__version__} is there; nothing was changed\n")
    elif steps := _steps(made, is_first=is_first):
        sys.stdout.write(f"next, in {plain(str(folder))}:\n")
        sys.stdout.writelines(f"  npx supabase@3.1.0 {step}\n" for step in steps)


def _steps(made: Plan, *, is_first: bool) -> list[str]:
    """What brings it to the project; all of it where a run before may have been cut off."""
    push, deploy = _NEXT.values()
    wrote = {kind for kind in _NEXT if any(path.startswith(kind) for path in made.writes)}
    if is_first or RECORD not in made.writes or wrote == set():
        return [push, _FIRST, deploy] if is_first else [push, deploy]
    return [step for kind, step in _NEXT.items() if kind in wrote or CONFIG in made.writes]
