"""The report of a sweep: one HTML file that needs no network, no library, and to be read no script."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gridstorm.answer import Answer, Setting, early, short, time_spent
from gridstorm.report.chart import escaped
from gridstorm.report.panel import Panels

STYLE, SCRIPT = (Path(__file__).with_name(f"report.{kind}") for kind in ("css", "js"))
ROWS = 200  # of the table of all settings
TRUSTED = 0.5  # lower end of a rank correlation, from which a pruner can go by it

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Page:
    """A report.

    Args:
        answer: What the sweep has shown.
        name: What it is called.
        defaults: What differed from the defaults in all runs, by key.
    """

    answer: Answer
    name: str
    defaults: dict[str, str]

    @cached_property
    def panels(self) -> Panels:
        """Its pictures."""
        return Panels(self.answer)

    def __str__(self) -> str:
        script = SCRIPT.read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        # Nothing of a name or a value can be run: the one script that may is known by its hash.
        policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
        names = json.dumps([self._line(one) for one in self.panels.settings]).replace("<", "\\u003c")
        return "\n".join([
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{escaped(self.name)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head><body>",
            *self._parts(),
            '<div id="told" role="status" aria-live="polite"></div>',
            f'<script type="application/json" id="names">{names}</script><script>{script}</script></body></html>',
        ])  # fmt: skip

    def _parts(self) -> Iterator[str]:
        study = self.answer.study
        yield f"<h1>{escaped(self.name)}</h1>"
        sentences = self.answer.sentences()
        yield from (f'<p class="lead">{escaped(sentence)}</p>' for sentence in sentences)
        step = self.answer.next
        yield f'<p class="note"><b>Next.</b> {escaped(step.why)}<br><code>{escaped(step.command)}</code></p>'
        yield self._definition()
        if study.compared:
            yield from self._tie()
            yield from self._roles()
            yield from self._pictures()
            yield from self._early()
        yield from self._trouble()
        yield from self._time()
        yield from self._defaults()
        yield from self._all()

    def _definition(self) -> str:
        study = self.answer.study
        counts = Counter(one.status for one in study.settings)
        told = ", ".join(f"{count} {status}" for status, count in counts.items())
        best = "smaller" if study.mode == "min" else "larger"
        score = f"A score is a run's best {study.monitor} over its epochs ({best} is better), the mean over its seeds."
        tags = " ".join(f"#{tag}" for tag in study.about.get("tags") or ())
        purpose = f"<p>{escaped(' '.join(filter(None, (study.about.get('note'), tags))))}</p>"
        return f'{purpose}<p class="soft">{escaped(score)} {len(study.settings)} settings: {escaped(told)}.</p>'

    def _tie(self) -> Iterator[str]:
        tie = self.answer.contest.tie
        shown = tie or self.answer.study.compared[:5]
        words = f"May be the best, {self.answer.contest.how}" if tie else "The first by their scores"
        yield "<h2>The best</h2>" + self._settings(shown[:20], words)

    def _roles(self) -> Iterator[str]:
        if found := self.answer.compared:
            rows = [(one.words, self.answer.score(one.best.loss), one.nuisance, str(one.count),
                     ", ".join(one.edges) or "-") for one in found]  # fmt: skip
            header = ("asked about", self.answer.study.monitor, "at its own best", "settings", "at the edge")
            yield "<h2>What was asked</h2>" + table([header, *rows])

    def _pictures(self) -> Iterator[str]:
        panels, study = self.panels, self.answer.study
        hidden = panels.hidden
        lost = f" What is much worse lies at the edge of the pictures: {hidden} of them." if hidden else ""
        label = '<label id="switch"><input type="checkbox" id="hide"> hide what failed or was pruned</label>'
        seeds = " Upright: the 95 % interval of its mean over seeds." if study.is_repeated else ""
        yield f'<h2>What each key does</h2><p class="soft">Lines: the best at each value.{seeds}{lost}</p>{label}'
        pictures = [
            *(panels.isolation(key) for key in panels.keys),
            panels.importance(),
            panels.map(),
            panels.best_so_far(),
        ]
        yield f'<div class="grid">{"".join(pictures)}</div>'
        if curves := panels.curves():
            yield f"<h2>How they went</h2>{curves}"
        if len(study.keys) > 1:
            yield f"<h2>All of it</h2>{panels.parallel()}"

    def _early(self) -> Iterator[str]:
        found = early(self.answer.study)
        if found:
            rows = [(f"{epoch} of {last}", f"{one.value:.2f}", f"{one.low:.2f} to {one.high:.2f}", str(one.count),
                     "a pruner can go by it" if one.low > TRUSTED else "not to be trusted")
                    for epoch, last, one in found]  # fmt: skip
            header = ("after epoch", "rank correlation with the end", "95 % interval", "settings", "")
            yield "<h2>Does a short run tell what a long one does?</h2>" + table([header, *rows])
        elif self.answer.study.pruned:
            words = "Some were pruned, so that what is left tells nothing of how early scores foretell late ones."
            yield f'<p class="soft">{words}</p>'

    def _trouble(self) -> Iterator[str]:
        findings = Counter(
            name
            for one in self.answer.study.settings
            for run in one.runs
            if run.result
            for name in run.result.findings[:1]
        )
        if findings:
            rows = [(name, str(count)) for name, count in findings.most_common()]
            yield "<h2>What the curves say</h2>" + table([("the gravest finding", "runs"), *rows])

    def _time(self) -> Iterator[str]:
        spent = time_spent(self.answer.study)
        if spent.whole:
            rows = [(str(status), f"{seconds:.4g} s", f"{seconds / spent.whole:.0%}")
                    for status, seconds in spent.by_status.items()]  # fmt: skip
            rows.append(("after the best epoch", f"{spent.late:.4g} s", f"{spent.late / spent.whole:.0%}"))
            yield "<h2>Where the time went</h2>" + table([("runs", "training", "share"), *rows])

    def _defaults(self) -> Iterator[str]:
        if self.defaults:
            yield "<h2>What differed from the defaults in all of them</h2>" + table([
                ("key", "value"), *self.defaults.items()])  # fmt: skip

    def _all(self) -> Iterator[str]:
        settings = self.panels.settings
        more = f", the first {ROWS}" if len(settings) > ROWS else ""
        yield f"<details><summary>All settings{more}</summary>{self._settings(settings[:ROWS], '')}</details>"

    def _settings(self, settings: Sequence[Setting], caption: str) -> str:
        """Return settings as a table; a row that has the focus lights up its setting in all pictures."""
        keys = [key.name for key in self.answer.study.keys]
        numbers = {id(one): number for number, one in enumerate(self.panels.settings)}
        header = "".join(f"<th>{escaped(name)}" for name in (*keys, self.answer.study.monitor, "seeds", "status"))
        rows = []
        for one in settings:
            cells = [short(one.values.get(name, "-")) for name in keys]
            spread = f" ± {one.half:.2g}" if one.half else ""
            cells += [
                self.answer.score(one.loss) + spread if one.losses else "-",
                str(len(one.losses)),
                str(one.status),
            ]
            kind = ' class="bad"' if one.status.is_bad else ""
            body = "".join(f"<td>{escaped(cell)}" for cell in cells)
            rows.append(f'<tr data-t="{numbers.get(id(one), -1)}" tabindex="0"{kind}>{body}</tr>')
        body = f"<caption>{escaped(caption)}</caption><tr>{header}</tr>{''.join(rows)}"
        return f'<div class="rows"><table>{body}</table></div>'

    def _line(self, one: Setting) -> str:
        score = self.answer.score(one.loss) if one.losses else str(one.status)
        health = {name for run in one.runs if run.result for name in run.result.findings[:1]}
        return " ".join([f"{one.number}: {one.name}: {score}", *sorted(health)])


def table(rows: Rows) -> str:
    """Return rows, of which the first is the header."""
    header = "".join(f"<th>{escaped(cell)}" for cell in rows[0])
    lines = "".join(f"<tr>{''.join(f'<td>{escaped(cell)}' for cell in row)}</tr>" for row in rows[1:])
    return f'<div class="rows"><table><tr>{header}</tr>{lines}</table></div>'
