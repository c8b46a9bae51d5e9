"""What is typed: `python train.py`, and the command `gridstorm`. Nothing heavy is imported before it is needed."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gridstorm.config import RunConfig
from gridstorm.error import Problem, UserError, did_you_mean, exit_on_error, say
from gridstorm.target import entered, project_at

TRAIN = "train"
COMMANDS = (
    "new", "rerun", "report", "ls", "compare", "confirm", "rm", "mv", "board", "diagnose", "predict", "evaluate",
    "baseline", "export", "generate", "lesson", "lessons",
)  # fmt: skip


def main(function: Callable[..., Any] | None = None) -> None:
    """Carry out the command line of a train.py, which needs nothing else in it.

    Args:
        function: What a checked configuration is handed to, in the place of training it. It may be decorated with
            `@hydra.main`, whose folder and name of configurations are then taken.

    Raises:
        SystemExit: With the exit status, where it is not 0.
    """
    from gridstorm.command import carry_out, door_of

    carry_out(door_of(function or trained), sys.argv[1:])


def trained(config: RunConfig) -> int:
    """Load what trains, only now that the configuration was checked, and return the exit status."""
    from gridstorm.run import run

    record = run(config)
    return int(record is not None and record.result is not None and record.result.status.is_bad)


def gridstorm(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command line of `gridstorm` and return its exit status."""
    asked = [*(sys.argv[1:] if arguments is None else arguments)]
    if asked[:1] == [TRAIN] or asked[:1] == ["-sc"]:
        return train(asked)
    from gridstorm.archive import add_commands

    parser, names = argparse.ArgumentParser("gridstorm", description="Train, and ask about what was trained."), []
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser(
        TRAIN, help="train a run, or with -m a sweep: gridstorm train model=cnn (--help lists the keys)"
    )
    fresh = commands.add_parser("new", help="write a project of your own, with a model, data, a sweep and tests")
    fresh.add_argument("directory", type=Path, help="its folder, whose name is that of its package")
    fresh.set_defaults(function=lambda namespace: new(namespace.directory))
    again = commands.add_parser("rerun", help="train a run's recipe again and say whether the numbers are the same")
    again.add_argument("directory", type=Path, help="the directory of a run")
    again.set_defaults(function=lambda namespace: rerun(namespace.directory))
    judge = commands.add_parser("diagnose", help="say what curves say: of runs, Lightning's loggers, CSV files")
    judge.add_argument("paths", nargs="+", type=Path, metavar="path", help="a run, a sweep, lightning_logs, a CSV file")
    judge.add_argument("--json", action="store_true", help="for other tools")
    judge.set_defaults(function=lambda namespace: diagnose(namespace.paths, namespace.json))
    _of_models(commands)
    add_commands(commands)
    one = commands.add_parser("lesson", help="show a sentence about hyperparameters: its runs, their curves, a verdict")
    one.add_argument("names", nargs="+", metavar="name", help="gridstorm lessons --list has the names")
    every = commands.add_parser("lessons", help="show all of them, in a few minutes")
    every.add_argument("--list", action="store_true", help="only name them")
    every.set_defaults(names=[])
    for lesson in (one, every):
        lesson.add_argument("--seed", type=int, default=0, help="of the first weights and the batches")
        lesson.set_defaults(function=teach)
    with exit_on_error():
        names = [*commands.choices]
        if asked and not asked[0].startswith("-") and asked[0] not in names:
            raise UserError([Problem(asked[0], "There is no such command.", did_you_mean(asked[0], names))])
        namespace = parser.parse_args(asked)
        with entered(project_at(Path.cwd())):
            return int(namespace.function(namespace))


def _of_models(commands: Any) -> None:
    """Add the commands that use a trained model."""

    def of_run(name: str, words: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(name, help=words)
        parser.add_argument("directory", type=Path, metavar="RUN", help="the directory of a run")
        parser.set_defaults(function=use, command=name)
        return parser

    guess = of_run("predict", "predict for each sample of a file, in the form of the training data")
    guess.add_argument("file", metavar="FILE", help="a table, or an NPZ file with the array x")
    guess.add_argument("--out", type=Path, help="a CSV, Parquet or JSON Lines file; the screen otherwise")
    guess.add_argument("--batch-size", type=int, help="samples that the model takes at once; as in training otherwise")
    judge = of_run("evaluate", "metrics with intervals, confusion, the worst mistakes")
    judge.add_argument("--part", default="test", help="of the run's own data: train, val or test")
    judge.add_argument("--data", metavar="FILE", help="another file, with the target in it")
    judge.add_argument("--json", action="store_true", help="for other tools")
    of_run("baseline", "what scikit-learn's models reach on the same samples")
    write = of_run("export", "write the model to a file that other programs run")
    write.add_argument("--to", choices=["torch", "onnx"], default="torch", help="the format")
    write.add_argument("--out", type=Path, help="the file; in the run's directory otherwise")
    write.add_argument("--samples", metavar="FILE", help="samples to compare on; those of the test part otherwise")
    speak = of_run("generate", "let a language model write on")
    speak.add_argument("text", metavar="TEXT", help="what it goes on from")
    speak.add_argument("--count", type=int, default=200, help="tokens that it writes")
    speak.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest token always")
    speak.add_argument("--seed", type=int, default=0, help="of the draws")


def train(asked: Sequence[str]) -> int:
    """Carry out `gridstorm train ...`, or what a shell asks to complete it: it knows the command `gridstorm` alone."""
    from gridstorm.command import Door, carry_out

    is_module = Path(sys.argv[0]).name == "__main__.py"
    typed = f"{'python -m gridstorm' if is_module else 'gridstorm'} {TRAIN}"
    line = os.environ.get("COMP_LINE", "").split(" ", 2)
    if asked[0] == "-sc" and len(line) > 1 and "query=bash" in asked:
        if line[1] != TRAIN or len(line) == 2:
            print(" ".join((TRAIN, *COMMANDS)))
            return 0
        os.environ["COMP_LINE"] = " ".join([line[0], *line[2:]])
    carry_out(Door(typed, Path.cwd(), trained), asked[asked[0] == TRAIN :])
    return 0


def new(directory: Path) -> int:
    """Write a project."""
    from gridstorm.new import new_project

    print(new_project(directory))
    return 0


def rerun(directory: Path) -> int:
    """Train a run again; that there is one is found out before anything heavy is imported."""
    from gridstorm.record import RunRecord

    first = RunRecord(directory)
    from gridstorm.run import rerun

    return rerun(first)


def diagnose(paths: Sequence[Path], as_json: bool) -> int:
    """Say what the curves in files and folders say."""
    from gridstorm.diagnosis import verdicts

    say(verdicts(paths, as_json))
    return 0


def use(asked: argparse.Namespace) -> int:
    """Use the model of a run; that there is one is found out before anything heavy is imported."""
    from gridstorm.record import RunRecord

    record = RunRecord(asked.directory)
    from gridstorm.prediction import baseline, evaluate, export, generate, predict

    if asked.command == "predict":
        predict(record, asked.file, asked.out, asked.batch_size)
        return 0
    if asked.command == "evaluate":
        found = evaluate(record, asked.part, asked.data)
        say(json.dumps(found.content()) if asked.json else str(found))
    elif asked.command == "baseline":
        say(baseline(record))
    elif asked.command == "export":
        say(export(record, asked.to, asked.out, asked.samples))
    else:
        say(asked.text + generate(record, asked.text, asked.count, asked.temperature, asked.seed))
    return 0


def teach(asked: argparse.Namespace) -> int:
    """Teach lessons, or name them."""
    from gridstorm.lesson import listed, teach

    if getattr(asked, "list", False):
        say(listed())
        return 0
    return teach(asked.names, asked.seed)
