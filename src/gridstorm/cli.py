"""The command `gridstorm`: what is asked of runs that are there. Nothing heavy is imported before it is needed."""

import argparse
from pathlib import Path

from gridstorm.error import exit_on_error
from gridstorm.record import RunRecord


def main(arguments: list[str] | None = None) -> int:
    """Carry out a command line and return its exit status."""
    parser = argparse.ArgumentParser("gridstorm", description="Questions about runs that are there.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    again = commands.add_parser("rerun", help="train a run's recipe again and say whether the numbers are the same")
    again.add_argument("directory", type=Path, help="the directory of a run")
    again.set_defaults(function=lambda namespace: rerun(namespace.directory))
    namespace = parser.parse_args(arguments)
    with exit_on_error():
        return int(namespace.function(namespace))


def rerun(directory: Path) -> int:
    """Train a run again; that there is one is found out before anything heavy is imported."""
    first = RunRecord(directory)
    from gridstorm.run import rerun

    return rerun(first)
