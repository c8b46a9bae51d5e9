"""What a sweep would train: every configuration composed and checked as that of a single run, before any is trained.

Hydra composes once for each distinct choice of groups; plain values are set on copies of that.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from gridstorm.command import Axis, Composition, Overrides, as_text, axes, compose, conditional, read_all
from gridstorm.config import CONDITIONAL, GROUPS, OF_SWEEPS, Point, RunConfig, component, leaves
from gridstorm.error import Problem, UserError
from gridstorm.record import Trial, TrialRun
from gridstorm.target import shown

ONE = (*OF_SWEEPS, "branch", "output_dir", "monitor", "mode")  # what the sweep itself reads
# What one run is asked, and -m starts many.
ASKED = ("resume", "explain", "find", "heal")
OF_ONE_RUN = {
    "name": ("It names one run, and -m starts many.", "Write sweep.name=NAME."),
    **dict.fromkeys(ASKED, ("It is asked of one run, and -m starts many.", "Leave out -m.")),
}
IN_A_PRESET = ("It is asked of one run, and -m starts many.", "Take it out of the preset.")
SINGLE = "A sweep takes a single value here."
ABSENT = object()
MANY_POINTS = 10_000  # of a space, more than which are not counted
SETTINGS = (*OF_SWEEPS, "output_dir", "threads")  # what does not change what is trained


@dataclass
class Plan:
    """A sweep's command line: its settings, its space, and the configuration of any point in it.

    Args:
        loader: Hydra's loader of configurations.
        config_name: The name of the primary configuration.
        texts: The overrides as they were written.
        first: What they compose to with the first of all values, where that was composed already.
    """

    loader: ConfigLoader
    config_name: str
    texts: Sequence[str]
    first: Composition | None = None
    _bases: dict[tuple[Any, ...], Composition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compose the first configuration and read the space.

        Raises:
            UserError: An override is wrong, or one that a sweep cannot have.
        """
        first = self.first or compose(Overrides(self.loader, self.config_name, self.texts, sweep=True))
        self.values = first.run.values
        self.settings: dict[str, Any] = dict(self.values["sweep"])
        self.parsed = read_all(self.texts, self.loader)
        self._refuse_what_no_sweep_has()
        self.choices = {group: str(first.whole.hydra.runtime.choices.get(group)) for group in GROUPS}
        self.leaves = dict(leaves(self.values))
        zipped = [list(map(str, keys)) for keys in self.settings["zip"]]
        spanned = axes(self.loader, self.texts, self.settings["params"], zipped, self.leaves)
        seeds = [axis for axis in spanned if axis.keys == ("seed",) and axis.points]
        first_seed, repeats = self.values["seed"], self.settings["repeats"]
        self.seeds = [row[0] for axis in seeds for row in axis.points] or [first_seed + n for n in range(repeats)]
        if seeds and repeats > 1:
            fact, remedy = "The seeds are listed already.", "Leave out one of the two."
            raise UserError([Problem(f"sweep.repeats={repeats}", fact, remedy)])
        self.axes = [axis for axis in spanned if axis not in seeds]
        self._remember(first)
        self.axes += self._conditional() if self.settings["conditional"] else []

    def _remember(self, first: Composition) -> None:
        """Keep what was composed as that of its choice of groups, where the command line makes these choices."""
        keys = {override.key_or_group for override in self.parsed}
        chosen = {
            key: value
            for axis in self.axes
            for key, value in zip(axis.keys, axis.ends()[0], strict=True)
            if key in GROUPS or isinstance(value, dict)
        }
        if keys.issuperset(chosen):
            self._bases[tuple((key, str(value)) for key, value in chosen.items())] = first

    def _refuse_what_no_sweep_has(self) -> None:
        by_key = {override.key_or_group: override for override in self.parsed}
        problems = []
        for key in (key for key in OF_ONE_RUN if self.values[key]):
            text = str(by_key[key].input_line) if key in by_key else f"{key}={shown(self.values[key])}"
            problems.append(Problem(text, *OF_ONE_RUN[key] if key in by_key else IN_A_PRESET))
        single = [
            override
            for key, override in by_key.items()
            if re.split("[./]", key)[0] in ONE and override.is_sweep_override()
        ]
        problems += [Problem(str(override.input_line), SINGLE, "Give one value.") for override in single]
        listed = [key for key in self.settings["params"] if re.split("[./]", str(key))[0] in ONE]
        problems += [Problem(f"sweep.params.{key}", SINGLE, "Take it out.") for key in listed]
        if problems:
            raise UserError(problems)

    def _refuse_other_settings(self, config: RunConfig, chosen: Point) -> None:
        """Refuse a choice, such as a preset, with which the sweep itself would be another one.

        Raises:
            UserError: What the sweep reads differs from what it is for the first of all points.
        """
        keys = {override.key_or_group for override in self.parsed} | {key for axis in self.axes for key in axis.keys}
        read = [key for key in (*ONE, *ASKED, "seed", "name") if key not in keys]
        here, there = ({key: config[key] for key in read} for config in (self.values, config.values))
        own, others = dict(leaves(here)), dict(leaves(there))
        other = [key for key in {**own, **others} if own.get(key, ABSENT) != others.get(key, ABSENT)]
        if other:
            place = ", ".join(f"{key}={as_text(value)}" for key, value in chosen.items())
            texts = [
                f"{key}={shown(values[key])}" if key in values else f"no {key}"
                for key in other[:1]
                for values in (others, own)
            ]
            fact = f"It has {texts[0]}, and the first point {texts[1]}: a sweep has one."
            remedy = "Set it on the command line, where it holds for every point, or start a sweep for each."
            raise UserError([Problem(place, fact, remedy)])

    def _conditional(self) -> list[Axis]:
        """Return the axes that the choices' own files name, of every choice that the space holds."""
        keys = {override.key_or_group for override in self.parsed} | {key for axis in self.axes for key in axis.keys}
        by_key: dict[str, Axis] = {}
        for combination in self._combinations():
            base = self._base(combination)
            for group, choice in base.run.choices.items():
                section = base.unresolved.get(group)
                ranges = section.get(CONDITIONAL) if isinstance(section, DictConfig) else None
                for axis in conditional(self.loader, group, choice, ranges or {}, self.leaves):
                    if axis.keys[0] not in keys:
                        by_key[axis.name] = axis
        return [*by_key.values()]

    def _combinations(self) -> Iterator[Point]:
        """Yield every distinct choice of groups in the space."""
        from gridstorm.sampler.grid import Grid

        grouped = [axis for axis in self.axes if set(axis.keys) & {*GROUPS}]
        seen: dict[tuple[Any, ...], Point] = {}
        for point in Grid()(grouped, self.choices):
            chosen = {key: value for key, value in point.items() if key in GROUPS}
            seen.setdefault(tuple(map(str, chosen.values())), chosen)
        yield from seen.values()

    @cached_property
    def size(self) -> int | None:
        """How many points the space has, None where it has no end, or so many that no sampler comes to it."""
        if any(axis.values() is None for axis in self.axes):
            return None
        count = sum(1 for _ in islice(self.every_point(), MANY_POINTS + 1))
        return count if count <= MANY_POINTS else None

    def every_point(self) -> Iterator[Point]:
        """Yield every point of a space that has an end."""
        from gridstorm.sampler.grid import Grid

        listed = [replace(axis, points=tuple(axis.values() or ())) for axis in self.axes]
        return Grid()(listed, self.choices)

    def ends(self) -> Iterator[Point]:
        """Yield points that together hold every listed value and both ends of every interval."""
        for chosen in self._combinations():
            present = [axis for axis in self.axes if axis.exists(chosen, self.choices)]
            points = [[dict(zip(axis.keys, row, strict=True)) for row in axis.ends()] for axis in present]
            rows = [[point for point in listed if {**point, **chosen} == {**chosen, **point}] for listed in points]
            first = {key: value for row in rows for key, value in row[0].items()}
            yield first
            yield from ({**first, **point} for row in rows for point in row[1:])

    def point_of(self, config: RunConfig) -> Point | None:
        """Return where a configuration lies in the space, None if it does not."""
        held = {**dict(leaves(config.values)), **config.choices}
        point: Point = {}
        for axis in sorted(self.axes, key=lambda axis: axis.condition is not None):
            if axis.exists(point, self.choices):
                row = tuple(held.get(key) for key in axis.keys)
                if not axis.holds(row):
                    return None
                point |= dict(zip(axis.keys, row, strict=True))
        return point

    def trial(self, point: Point) -> Trial:
        """Return the configuration at a point of the space.

        Raises:
            UserError: Something is wrong with it.
        """
        return Trial(point, [TrialRun(self.config_at({**point, "seed": seed}), seed) for seed in self.seeds])

    def config_at(self, point: Point) -> RunConfig:
        """Return one run's configuration.

        Raises:
            UserError: Something is wrong with it.
        """
        chosen = {key: value for key, value in point.items() if key in GROUPS or isinstance(value, dict)}
        base = self._base(chosen, point)
        config = base.at({key: value for key, value in point.items() if key not in chosen})
        trainer = config.values["trainer"]
        if trainer.get("strategy", "auto") != "auto" or trainer.get("devices", 1) not in (1, "1", "auto"):
            fact, remedy = (
                "A run of a sweep has one device.",
                "Choose trainer=gpu: launcher=processes uses every device.",
            )
            raise UserError([Problem(f"trainer={config.choices.get('trainer')}", fact, remedy)])
        return replace(config, overrides=self.overrides(point))

    def overrides(self, point: Point) -> list[str]:
        """Return the command line of a single run at this point."""
        texts = [
            f"{override.get_key_element()}={as_text(point[override.key_or_group])}"
            if override.key_or_group in point
            else str(override.input_line)
            for override in self.parsed
            if not override.is_hydra_override() and re.split("[./]", override.key_or_group)[0] not in OF_SWEEPS
        ]
        keys = {override.key_or_group for override in self.parsed}
        return texts + [f"{key}={as_text(value)}" for key, value in point.items() if key not in keys]

    def _base(self, chosen: Point, point: Mapping[str, Any] | None = None) -> Composition:
        """Return the composition of a choice of groups, made once; the other keys take the point's values."""
        key = tuple((name, str(value)) for name, value in chosen.items())
        if key not in self._bases:
            hydra = [str(override.input_line) for override in self.parsed if override.is_hydra_override()]
            settings = [
                str(override.input_line)
                for override in self.parsed
                if re.split("[./]", override.key_or_group)[0] in OF_SWEEPS and not override.is_hydra_override()
            ]
            own = {name: value for name, value in {**(point or {}), **chosen}.items() if name != "seed"}
            texts = [*hydra, *settings, *self.overrides(own)]
            base = compose(Overrides(self.loader, self.config_name, texts, sweep=True))
            self._refuse_other_settings(base.run, chosen)
            self._bases[key] = base
        return self._bases[key]

    @property
    def directory(self) -> Path:
        """The sweep's directory."""
        return Path(self.values["output_dir"], self.name())

    def name(self) -> str:
        """Return the name of the sweep's directory: the given one, or one that the same command has again."""
        if self.settings["name"]:
            return str(self.settings["name"])
        swept = [key.rpartition(".")[2] for axis in self.axes for key in axis.keys] or ["seeds"]
        texts = [text for text in self.texts if re.split("[./=]", text.lstrip("+~"))[0] not in SETTINGS]
        texts += [f"{name}={self.settings[name]}" for name in ("params", "zip", "conditional")]
        texts.append(str(self.values["sampler"]["_target_"]))
        return (
            f"{component('-'.join(swept)[:40])}-{hashlib.sha256(chr(10).join(sorted(texts)).encode()).hexdigest()[:6]}"
        )


def checked(plan: Plan, points: Iterator[Point]) -> list[Trial]:
    """Return the trials at these points; equal ones are one, which knows of the others.

    Raises:
        UserError: Some are wrong; each problem is told once, with the number of trials that have it.
    """
    trials: dict[str, Trial] = {}
    problems: Counter[Problem] = Counter()
    for point in points:
        try:
            trial = plan.trial(point)
        except UserError as refusal:
            problems.update(refusal.problems)
        else:
            same = trials.setdefault(trial.signature, trial)
            same.merged += [] if same is trial else [trial.label]
    if problems:
        many = {problem: f" (in {count} trials)" if count > 1 else "" for problem, count in problems.items()}
        raise UserError([replace(problem, fact=f"{problem.fact[:-1]}{many[problem]}.") for problem in problems])
    return [*trials.values()]
