"""Healing: a run whose curves say what is wrong goes on from before that, with the remedy, as a branch."""

import atexit
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gridstorm.config import RunConfig
from gridstorm.diagnosis import beyond_help, diagnose, of_record
from gridstorm.error import Problem, UserError, say
from gridstorm.pruner.diagnosis import Diagnosis
from gridstorm.record import RunRecord, states
from gridstorm.run.verdict import findings_of
from gridstorm.target import command

MOST = 3  # times
UNDONE = "still_improving"  # of a run with a remedy: its rate is smaller, and takes the longer
HEALED = "-healed-"  # between the name of a run and how often it was healed
SURE = 2  # epochs in a row that say a run is beyond help: it has no better one beside it; of 520 healthy ones none is
LOOKS = 50  # at the curves of a long run, each of which reads them from their beginning
KEPT = 10  # states of a run that may be healed
OF_PROCESSES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GRIDSTORM_DIRECTORY")
BESIDE = ("callbacks.", "logger", "threads", "monitor_later", "trainer.accelerator")  # what no recipe holds
LEFT = 0.5  # share of the epochs that are to be trained yet; where less is left, it begins anew
# What a remedy mends; a run that is only not done yet, or done for long, is not ill.
CURABLE = (
    "not_finite", "exploding_gradients", "diverged", "over_clipped", "rising_train_loss", "oscillating", "noisy_end",
    "lr_at_stability_edge", "dead_units", "vanishing_gradients", "too_slow", "never_learned", "underfitting",
)  # fmt: skip


def healable(config: RunConfig) -> RunConfig:
    """Return a configuration whose run keeps states to go back to; as it is where nothing is to be healed.

    Raises:
        UserError: A remedy could not be trained as the run is.
    """
    callbacks = config.values.get("callbacks") or {}
    saver = callbacks.get("checkpoint")
    if not config.values["heal"]:
        return config
    if (nodes := config.values["trainer"].get("num_nodes") or 1) != 1:
        fact = f"With trainer.num_nodes={nodes} a run cannot begin anew: its other nodes would not."
        raise UserError([Problem("heal=true", fact, "Leave it out, or train on one node.")])
    if flags := [word for word in sys.argv[1:] if word.startswith(("--config", "-cn", "-cp", "-cd"))]:
        fact = "A remedy is trained with the project's own configuration."
        raise UserError([Problem("heal=true", fact, f"Leave it out, or {flags[0]}.")])
    if not saver or saver.get("every") or not str(saver["_target_"]).startswith("gridstorm."):
        return config
    every = max(1, int(config.values["trainer"].get("max_epochs") or KEPT) // KEPT)
    return replace(
        config, values={**config.values, "callbacks": {**callbacks, "checkpoint": {**saver, "every": every}}}
    )


def gives_up(config: RunConfig, record: RunRecord) -> Callable[[int], bool] | None:
    """Return what tells after an epoch whether a run that is to be healed is beyond help; None of any other run."""
    rule, most = Diagnosis(patience=SURE), int(config.values["trainer"].get("max_epochs") or 0)
    if not config.values.get("heal") or most < 1:
        return None
    every = max(1, most // LOOKS)
    return lambda epoch: (
        epoch < most and epoch % every == 0 and beyond_help(record, rule.findings, rule.epochs(epoch), most)
    )


def heal(record: RunRecord, resumed: bool = False) -> None:
    """Let a run that is ill be followed by one with the first remedy, which takes the place of this process.

    From the last state before the trouble began, at most three times. So a signal reaches what trains, and what the
    run held in memory is free.

    Args:
        record: Of the run, which is over.
        resumed: Whether it was over before: then what follows it may be there already.
    """
    begun, _, times = record.directory.name.partition(HEALED)
    count = int((re.match(r"\d+", times) or ["0"])[0])
    finding = _ill(record, CURABLE if count in (0, MOST) else (*CURABLE, UNDONE))
    if finding is None:
        return
    first = next(remedy["overrides"] for remedy in finding["remedies"] if remedy["overrides"])
    if count >= MOST:
        say(f"not healed: {finding['name']} is there after {count} remedies.")
        return
    name = f"{begun}{HEALED}{count + 1}"
    if resumed and (next_one := record.directory.parent / name).is_dir():
        say(f"healed  {next_one}")
        return
    epoch = _before(record, finding, first)
    place = f"from epoch {epoch} on" if epoch else "from the start"
    told = f"{finding['name']}, so {' '.join(first)} {place}"
    say(f"\nheal {count + 1} of {MOST}: {told}: {record.directory.parent / name}\n")
    _become([*_door(), *_asked(record, first, epoch, name)])


def _become(words: list[str]) -> None:
    """Let a command take the place of this process, once what was to happen at its exit has happened."""
    environment = {key: value for key, value in os.environ.items() if key not in OF_PROCESSES}
    atexit._run_exitfuncs()  # loggers are closed, and what reads ahead of training in other processes is ended
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(words[0], words, environment)
    except OSError as error:
        say(f"not healed: {words[0]} cannot be started ({error.strerror}).")


def _ill(record: RunRecord, names: Sequence[str]) -> dict[str, Any] | None:
    """Return the gravest finding of a run, where it is one of these, and a command line may mend it."""
    curable = [one for one in findings_of(record)[:1] if one["name"] in names]
    return next((one for one in curable if any(remedy["overrides"] for remedy in one["remedies"])), None)


def _before(record: RunRecord, finding: dict[str, Any], overrides: list[str]) -> int:
    """Return the last epoch with a state before the trouble began; 0 where it begins anew.

    So it does where the trouble was there all along, where too little would be left, and where the network changes.
    """
    if finding["name"] == UNDONE:
        return max(states(record), default=0)
    step, epochs = finding["step"], int(record.config.values["trainer"].get("max_epochs") or 0)
    if step is None or any(text.startswith(("model", "data")) for text in overrides):
        return 0
    ends = {int(row["epoch"]): int(row["step"]) for row in record.rows()}
    early = [epoch for epoch in states(record) if epoch <= epochs * LEFT and ends.get(epoch, step) < step]
    return max((epoch for epoch in early if _is_well(record, epoch)), default=0)


def _is_well(record: RunRecord, epoch: int) -> bool:
    """Tell whether the curves up to an epoch say nothing that would be healed."""
    curves = of_record(record, until=epoch)
    return curves is not None and not {finding.name for finding in diagnose(curves)} & {*CURABLE}


def _asked(record: RunRecord, overrides: list[str], epoch: int, name: str) -> list[str]:
    """Return the command line of the run with the remedy."""
    from gridstorm.command import pasted  # which loads Hydra

    home = shlex.split(pasted("output_dir", Path(record.config.values["output_dir"])))
    around = ["heal=true", f"name={name}", *home]
    before = _typed(record)
    if epoch:
        place = shlex.split(pasted("branch", Path(f"{record.directory}@{epoch}")))
        kept = [text for text in before if _key(text).startswith(BESIDE) and not text.startswith("~")]
        before = [*place, *kept]  # what was taken out is not in its parent's configuration either
    chosen = tuple(f"{_key(text)}." for text in overrides if "." not in _key(text))  # whose keys are then others
    before = [text for text in before if not (chosen and _key(text).startswith(chosen))]
    typed = {_key(text): text for text in [*before, *overrides, *around]}  # of a key the last one counts
    return [*typed.values()]


def _typed(record: RunRecord) -> list[str]:
    """Return what was typed for a run, and before that for those from which it branched off."""
    values, own = record.config.values, [text for text in record.config.overrides if _key(text) != "branch"]
    return [*_typed(RunRecord(Path(values["parent"]["directory"]))), *own] if values.get("branch") else own


def _key(text: str) -> str:
    return text.lstrip("+~").partition("=")[0]


def _door() -> list[str]:
    """Return the command that was typed to train, as this Python carries it out."""
    words = shlex.split(command(""))
    if words[0] == "gridstorm":
        return [sys.executable, "-m", *words]
    return [sys.executable, *words[1:]] if Path(words[0]).name.startswith("python") else words
