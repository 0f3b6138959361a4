"""``memoria``: the command line for those who run it."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from memoria import __version__
from memoria.cli.terminal import plain
from memoria.config import BadConfiguration
from memoria.errors import MemoriaError

COMMANDS = ("doctor", "status", "backfill", "calibrate", "search", "migrate-model", "supabase")


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"memoria.cli.{command.replace('-', '_')}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="memoria", description="Finds the people in event photos")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    modules = {name: _module(name) for name in COMMANDS}
    for module in modules.values():
        module.add_parser(commands)
    chosen = parser.parse_args(arguments)
    try:
        return int(modules[chosen.command].run(chosen))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (BadConfiguration, MemoriaError, OSError, UnicodeEncodeError) as problem:
        sys.stderr.write(f"memoria: {_sentence(problem)}\n")
        return 2


def _sentence(problem: Exception) -> str:
    match problem:
        case BadConfiguration():  # lines of our own
            return str(problem)
        case UnicodeEncodeError():
            return "a name that is not UTF-8 cannot be asked for"
        case OSError(filename=str(name), strerror=str(why)):
            return plain(f"{name}: {why}")
    return plain(str(problem))
