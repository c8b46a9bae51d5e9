"""The commands about what was trained: report, ls, compare, confirm, rm, mv, board."""

import argparse
import sys
from pathlib import Path
from typing import Any

from gridstorm.error import say

OUTPUTS = Path("outputs")
LISTED = 20  # directories that are named before they are removed


def add_commands(commands: Any) -> None:
    """Add them to those of `gridstorm`."""

    def command(name: str, words: str, carry_out: Any) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(name, help=words)
        parser.set_defaults(function=carry_out)
        return parser

    report = command("report", "what a sweep has shown, how sure it is, and what to try next", _report)
    report.add_argument("directories", nargs="+", type=Path, metavar="SWEEP", help="the directory of a sweep")
    report.add_argument("--out", type=Path, help="the page; report.html in the sweep's directory otherwise")
    report.add_argument("--json", action="store_true", help="the answer alone, for other tools")
    listing = command("ls", "all runs and sweeps with score, health, age and note", _list)
    listing.add_argument(
        "words", nargs="*", metavar="FOLDER or KEY=VALUE", help="where, and which: model=cnn tags=mine"
    )
    listing.add_argument("--best", action="store_true", help="those with a score, the best first")
    listing.add_argument("--failed", action="store_true", help="those that failed or diverged")
    listing.add_argument("--since", metavar="TIME", help="yesterday, 3h, 2d, 1w, or a date")
    listing.add_argument("--json", action="store_true", help="for other tools")
    comparison = command("compare", "in what runs or sweeps differ, what it did, and their curves", _compare)
    comparison.add_argument("directories", nargs="+", type=Path, metavar="DIRECTORY", help="of a run or a sweep")
    again = command("confirm", "train the best of a sweep again with new seeds, and say whether to adopt it", _confirm)
    again.add_argument("directory", type=Path, metavar="SWEEP", help="the directory of a sweep")
    again.add_argument("words", nargs="*", metavar="KEY=VALUE", help="best=3 repeats=5")
    removal = command("rm", "remove runs, sweeps, failed runs or checkpoints: lists them first, and asks", _remove)
    removal.add_argument("paths", nargs="*", type=Path, metavar="DIRECTORY", help="of a run, a sweep, or a folder")
    removal.add_argument("--failed", action="store_true", help="only runs that failed or diverged")
    removal.add_argument(
        "--checkpoints", action="store_true", help="only checkpoints of a sweep that are not its best's"
    )
    removal.add_argument("--yes", action="store_true", help="do not ask")
    moving = command("mv", "rename a run or a sweep, with all that names it", _move)
    moving.add_argument("directory", type=Path, metavar="DIRECTORY", help="of a run or a sweep")
    moving.add_argument("name", metavar="NAME", help="its new name")
    board = command("board", "open TensorBoard at a run, a sweep, or a folder", _board)
    board.add_argument(
        "directory", nargs="?", type=Path, default=OUTPUTS, metavar="DIRECTORY", help="outputs otherwise"
    )
    board.add_argument("--port", type=int, default=6006, help="where it listens")
    board.add_argument("--link", action="store_true", help="only say where to look")


def _report(asked: argparse.Namespace) -> int:
    from gridstorm.report import write_report

    say(write_report(asked.directories, asked.out, asked.json))
    return 0


def _list(asked: argparse.Namespace) -> int:
    from gridstorm.archive.listing import listed

    folders = [word for word in asked.words if "=" not in word or Path(word).is_dir()]
    words = [word for word in asked.words if word not in folders]
    for folder in folders or [OUTPUTS]:
        say(listed(Path(folder), words, asked.best, asked.failed, asked.since, asked.json))
    return 0


def _compare(asked: argparse.Namespace) -> int:
    from gridstorm.archive.comparison import compare

    say(compare(asked.directories))
    return 0


def _confirm(asked: argparse.Namespace) -> int:
    from gridstorm.archive.confirmation import confirm

    return confirm(asked.directory, asked.words)


def _remove(asked: argparse.Namespace) -> int:
    from gridstorm.archive.removal import removals, remove, written
    from gridstorm.error import Problem, UserError

    if not asked.paths and not (asked.failed or asked.checkpoints):
        raise UserError(
            [Problem("rm", "Nothing was named.", "Name a run or a sweep, or add --failed or --checkpoints.")]
        )
    found = removals(asked.paths or [OUTPUTS], asked.failed, asked.checkpoints)
    if not found:
        say("There is nothing to remove.")
        return 0
    for one in found[:LISTED]:
        say(str(one))
    if len(found) > LISTED:
        say(f"and {len(found) - LISTED} more directories")
    total = written(sum(one.size for one in found))
    if not asked.yes:
        if not sys.stdin.isatty():
            say(f"{total} would be removed. Add --yes to remove them.")
            return 1
        if input(f"Remove {total}? [y/N] ").strip().lower() not in ("y", "yes"):
            say("Nothing was removed.")
            return 1
    say(remove(found))
    return 0


def _move(asked: argparse.Namespace) -> int:
    from gridstorm.archive.removal import move

    say(move(asked.directory, asked.name))
    return 0


def _board(asked: argparse.Namespace) -> int:
    from gridstorm.archive.board import board

    return board(asked.directory, asked.port, asked.link)
