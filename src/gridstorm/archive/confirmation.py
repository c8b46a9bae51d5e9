"""`gridstorm confirm`: the best settings of a sweep trained again with new seeds, and whether to adopt one."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from gridstorm.answer import Answer, Contest, Setting
from gridstorm.config import brief, number
from gridstorm.error import Problem, UserError, did_you_mean, say
from gridstorm.record import half_width, manifest
from gridstorm.report import answer_of, table

ASKED = {"best": 3, "repeats": 5}


def confirm(directory: Path, words: Sequence[str]) -> int:
    """Train the best settings again, with seeds that the sweep has not seen, and say whether to adopt the best.

    Only then is the test set looked at: of the one that is to be adopted.

    Args:
        directory: Of the sweep.
        words: `best=3 repeats=5`: how many settings, and with how many seeds.

    Raises:
        UserError: There is no sweep with a score, or a word is wrong.
    """
    asked = _asked(words)
    answer, _ = answer_of([directory])
    settings = _chosen(answer, directory, asked["best"])
    overrides = overrides_of(answer, directory, settings, asked["repeats"])
    _refuse_other_configurations(answer, overrides)
    from gridstorm.library import sweep

    say(f"{len(settings)} settings with {asked['repeats']} new seeds each: {shlex.join(overrides)}")
    swept = sweep(*overrides)
    again, _ = answer_of([swept.directory])
    say(verdict(again, answer.study.sign))
    return 0


def _refuse_other_configurations(answer: Answer, overrides: Sequence[str]) -> None:
    """Refuse a sweep of a configuration that is none of the project's own: it is composed where it was."""
    words = shlex.split(str(answer.study.about.get("command") or ""))
    if flags := [word for word in words if word.startswith(("--config", "-cn", "-cp", "-cd"))]:
        start = [word for word in words if not _is_override(word)]
        fact = "The sweep was trained with it, and confirm composes the project's own configuration alone."
        raise UserError([Problem(flags[0], fact, f"Type it: {shlex.join([*start, *overrides])}")])


def _is_override(word: str) -> bool:
    return word[:1] == "~" or ("=" in word and word[:1] != "-")


def _asked(words: Sequence[str]) -> dict[str, int]:
    asked = dict(ASKED)
    for word in words:
        key, _, text = word.partition("=")
        if key not in ASKED:
            raise UserError([Problem(word, "It takes best=3 and repeats=5.", did_you_mean(key, ASKED))])
        low = 1 if key == "best" else 2
        if not text.isdigit() or int(text) < low:
            raise UserError([Problem(word, f"It is no number from {low} on.", f"Write {key}={ASKED[key]}.")])
        asked[key] = int(text)
    return asked


def _chosen(answer: Answer, directory: Path, count: int) -> list[Setting]:
    """Return the settings that are trained again: those of the tie first, then by their scores."""
    if answer.best is None:
        raise UserError([Problem(str(directory), "None of its trials has a score.", "Confirm another sweep.")])
    tie = answer.contest.tie or []
    rest = [one for one in answer.study.compared if not any(one is other for other in tie)]
    return [*tie, *rest][:count]


def overrides_of(answer: Answer, directory: Path, settings: Sequence[Setting], repeats: int) -> list[str]:
    """Return the command line of the sweep that trains settings again: their keys vary together."""
    about = manifest(directory)
    words = shlex.split(str(about.get("command") or ""))
    swept = {*about.get("keys", ()), "seed"}
    searched = ("sampler", "pruner", "sweep", "launcher")
    given = [word for word in words if _is_override(word)]
    fixed = [
        word
        for word in given
        if (key := word.partition("=")[0].lstrip("+~")) not in swept and key.partition(".")[0] not in searched
    ]
    keys = [*settings[0].values]
    lacking = sorted({key for one in settings for key in one.values} ^ {*keys})
    lacking += [key for key in keys if any(key not in one.values for one in settings)]
    if lacking:
        fact = f"Not all of the best have {lacking[0]}, and one command cannot train them together."
        raise UserError([Problem(str(directory), fact, "Confirm one with best=1.")])
    varied = [f"{key}={','.join(brief(one.values[key]) for one in settings)}" for key in keys]
    seeds = {seed for one in answer.study.settings for seed in one.losses}
    together = [f"sweep.zip=[[{','.join(keys)}]]"] if len(settings) > 1 and len(keys) > 1 else []
    return [*fixed, *varied, *together, f"seed={max(seeds, default=-1) + 1}", f"sweep.repeats={repeats}",
            f"sweep.name={directory.resolve().name}-confirmed"]  # fmt: skip


def verdict(again: Answer, sign: int) -> str:
    """Return whether to adopt the best setting, and what it reaches on the test set."""
    study, contest = again.study, Contest(again.study)
    if again.best is None:
        return "None of them came to its end with a score: adopt none of them."
    rows = [(one.name, number(sign * one.loss), f"{half_width([*one.losses.values()]):.2g}", str(len(one.losses)))
            for one in study.compared if len(one.losses) > 1]  # fmt: skip
    told = table([("setting", study.monitor, "± 95 %", "seeds"), *rows])
    tie = contest.tie or []
    if len(tie) > 1:
        cheap = again.cheapest or again.best
        words = f"Adopt {cheap.name}: with new seeds {len(tie)} are as good as each other, and it is the cheapest."
    elif len(study.compared) > 1:
        cheap, words = again.best, f"Adopt {again.best.name}: with new seeds no other is as good."
    else:
        cheap = again.best
        words = (
            f"Adopt {cheap.name} if {number(sign * cheap.loss)} is good enough: that is what it reaches with new seeds."
        )
    return "\n".join([told, "", words, tested(cheap)])


def tested(setting: Setting) -> str:
    """Return what the runs of a setting reach on the test set, which is looked at only now."""
    from gridstorm.prediction import evaluate

    found: dict[str, list[float]] = {}
    for run in setting.runs:
        if run.record:
            for name, (value, _, _) in evaluate(run.record).metrics.items():
                found.setdefault(name, []).append(value)
    parts = [f"{name} {number(sum(values) / len(values))} ± {half_width(values):.2g}" for name, values in found.items()
             if len(values) > 1]  # fmt: skip
    return f"On the test set: {', '.join(parts)}." if parts else "It has no test set."
