"""Command lines with exactly one mistake in an otherwise valid line, and noise."""

import random
import string
from collections.abc import Callable
from pathlib import Path

from command_lines import GLOBAL, Line, texts, unfinished, values, written

KEYS = ("optimizer.lr", "data.batch_size", "model.width", "trainer.max_epochs", "regularization.l1", "monitor", "seed")
CODE = "{_target_:os.system,command:'touch planted'}"
TAG = "!!python/object/apply:os.system ['touch planted']"
WRONG_VALUES = {
    "optimizer.lr": ("abc", "-1", "0", "true", "[1]", "null", ".nan", ".inf", "{a:1}", "'0.1'"),
    "data.batch_size": ("0", "-3", "1.5", "ten", "null", "[32]", "1e400", "{a:1}"),
    "model.width": ("0", "2.5", "wide", "-1"),
    "model.activation": ("rellu", "1", "null"),
    "trainer.max_epochs": ("ten", "0.5", "[]", "true"),
    "trainer.precision": ("12", "half"),
    "seed": ("-1", "a", "1.5", "4294967296", "null", "9" * 4400),
    "mode": ("best", "max"),
    "monitor": ("val/acc", "loss", "3"),
    "threads": ("0", "many"),
    "name": ("..", "a/b", ".hidden", "/abs", "x" * 300, "'a\nb'"),
    "output_dir": ("null", "[a]"),
    "explain": ("maybe", "2"),
    "callbacks": ("nope", "1"),
    "logger": ("csvv", "{a:1}"),
    "optimizer._target_": ("os.system", "torch.optim.Adaam", "torch.nn.os.system", "builtins.eval", "Adam", "evil.Net"),
    "model._partial_": ("false", "maybe"),
    "loss._convert_": ("none", "x"),
    "data.split_seed": ("${nope}", "${oc.env:NOT_THERE}", "${seed", "${evil:1}", "${data.split_seed}"),
}
# Each is a whole command line; what follows a bar is its next argument.
WHOLE_LINES = r"""
model=mlpp
modle=mlp
data=diabetes | loss=cross_entropy
data=python_text | model=cnn
=1
lr
optimizer.lr=0.1,0.2
sweep.repeats=3
optimizer.lr=[0.1
~optimizer.nope
+optimizer.foo=1
+optimizer.lr=0.1
resume=nowhere
resume=record | seed=1
experiment=nope
experiment=nope.yaml
experiment=[digits_mlp,nope]
-m
-m | seed=0,1 | name=x
-m | seed=0,1 | sweep.name=../x
-m | seed=0,1 | sweep.name=.
-m | seed=range(nan,1)
-m | seed=range(1,inf)
-m | optimizer.lr=interval(0.1,1)
-m | optimizer.lr=tag(log,interval(0,1)) | sampler=tpe
-m | data.batch_size={a:1},{b:2}
-m | seed=0,1 | sweep.from={_target_:os.system}
-m | seed=0,1 | sweep.from=nowhere | sampler=tpe
-m | seed=0,1 | sweep.zip=[[seed,model.width]]
-m | optimizer.lr=0.1,0.2 | sweep.timeout=soon
-m | seed=0,1 | sampler=nope
-m | optimizer.lr=0.1,abc
-m | seed=0,1 | launcher.place=2
-m | optimizer.lr=0.1,0.2 | sampler=random | ++pruner.n_startup_trials=5
-m | monitor=val/loss,train/loss
-m | hydra.sweeper=1 | seed=0,1
-m | +hydra.sweeper.params={x:1} | seed=0,1
hydra.searchpath=1
hydra.searchpath=[pkg://evil]
hydra.searchpath=[file://nowhere]
++hydra.callbacks.x=1
hydra.run.dir=/tmp/x
hydra.job.chdir=true
hydra/launcher=basic
hydra.mode=NOPE
+hydra.callbacks.x={_target_:os.system,command:'touch planted'}
+hydra.job_logging.handlers={x:{'()':os.system,command:'touch planted'}}
--config-dir | nowhere
--config-path | nowhere
--config-name | nope
--multirrun
--run | --multirun
--resolve
--experimental-rerun | x.pickle
--cfg | nope
+callbacks.x={_target_:os.system,command:'touch planted'}
+trainer.plugins=[{_target_:os.system,command:'touch planted'}]
trainer.logger=true
trainer.callbacks=[1]
logger={_target_:subprocess.Popen,args:[touch,planted]}
loss={_target_:torch.nn.CrossEntropyLoss,_args_:[{_target_:os.system,command:'touch planted'}]}
optimizer=[adam,sgd]
optimizer@x=adam
model.width.deep=1
"""
BAD_PRESETS = {
    "without a header": "optimizer:\n  lr: 0.1\n",
    "hydra's node": f"{GLOBAL}hydra:\n  callbacks:\n    x:\n      _target_: os.system\n",
    "no YAML": f"{GLOBAL}seed: [1\n",
    "a tab": f"{GLOBAL}seed:\n\t- 1\n",
    "a wrong value": f"{GLOBAL}optimizer:\n  lr: fast\n",
    "a wrong key": f"{GLOBAL}optimiser:\n  lr: 1\n",
    "a wrong choice": f"{GLOBAL}defaults:\n- override /model: nope\n",
    "a path in its defaults": f"{GLOBAL}defaults:\n- /experiment: ../x\n",
    "a target": f"{GLOBAL}loss:\n  _target_: os.system\n  command: touch planted\n",
    "a tag": f"{GLOBAL}seed: {TAG}\n",
    "a place": f"{GLOBAL}name: ../outside\n",
    "nothing": "",
    "a list": f"{GLOBAL}- 1\n",
    "bytes": "\x00\x01",
}
DAMAGES: dict[str, Callable[[Path], object]] = {
    "its configuration is halved": lambda run: halve(run / "config.yaml"),
    "its origin is halved": lambda run: halve(run / "origin.json"),
    "its origin is a list": lambda run: (run / "origin.json").write_text("[]"),
    "its format is later": lambda run: (run / "origin.json").write_text('{"format": 9}'),
    "its configuration is code": lambda run: (run / "config.yaml").write_text(TAG),
    "its target is code": lambda run: append(run / "config.yaml", "loss: {_target_: os.system, command: ls}\n"),
    "it has a date": lambda run: append(run / "config.yaml", "seed: 2020-01-01\n"),
    "its curves are a link": lambda run: link(run / "metrics.jsonl"),
    "it has no configuration": lambda run: (run / "config.yaml").unlink(),
}
BAD_CHOICES = (
    "_target_: os.system\ncommand: touch planted\n",
    f"{GLOBAL}hydra:\n  callbacks:\n    x: {CODE}\n",
    f"{GLOBAL}hydra:\n  job:\n    env_set: {{LD_PRELOAD: x}}\n",
    "_target_: evil.Net\n_partial_: true\n",
)
PIECES = (
    *"=,[](){}'\\~+/: @%$\n\té\u202e", '"', "optimizer.lr", "model", "seed", "${", "++", "range(", "choice(",
    "interval(", "tag(", "glob(*", "-m", "--", "hydra.", "sweep.", "..", "\x1b[2J", "1e9", "null", "true",
    "_target_", "os.system",
)  # fmt: skip


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def link(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.parents[1] / "outside.txt")


def typo(draw: random.Random, text: str) -> str:
    """Return a word with one letter doubled or another one put in."""
    place = draw.randrange(1, len(text))
    return draw.choice([text[:place] + text[place - 1] + text[place:], f"{text[:place]}q{text[place:]}", f"{text}x"])


def mistake(draw: random.Random) -> Line:
    """Return a line with one mistake."""
    way = draw.choices(["key", "value", "line", "preset", "record", "choice"], [20, 35, 25, 8, 7, 5])[0]
    if way == "key":
        given = {key: value for key, value in values(draw).items() if not key.startswith("+")}
        return Line("mistake", way, [*texts(draw, given), f"{typo(draw, draw.choice(KEYS))}=1"])
    if way == "value":
        key = draw.choice([*WRONG_VALUES])
        given = {"data": "digits", "model": "mlp", "optimizer.lr": 0.1, "seed": 1, key: draw.choice(WRONG_VALUES[key])}
        return Line("mistake", f"{way} of {key}", texts(draw, given))
    if way == "line":
        line = draw.choice(WHOLE_LINES.strip().splitlines())
        prepare = unfinished if "record" in line else Line("", "", []).prepare
        return Line("mistake", f"{way} {line}", line.split(" | "), prepare)
    if way == "preset":
        name = draw.choice([*BAD_PRESETS])
        return Line("mistake", f"{way} {name}", ["experiment=bad.yaml"], written("bad.yaml", BAD_PRESETS[name]))
    if way == "record":
        name = draw.choice([*DAMAGES])
        return Line("mistake", f"{way}: {name}", ["resume=record"], lambda folder: damaged(folder, DAMAGES[name]))
    number = draw.randrange(len(BAD_CHOICES))
    prepare = written("mine/model/bad.yaml", BAD_CHOICES[number])
    return Line("mistake", f"{way} {number}", ["--config-dir", "mine", "model=bad"], prepare)


def damaged(folder: Path, damage: Callable[[Path], object]) -> None:
    unfinished(folder)
    damage(folder / "record")


def noise(draw: random.Random) -> Line:
    """Return a line of pieces, or a valid one in which letters are changed."""
    if draw.random() < 0.5:
        words = ["".join(draw.choices(PIECES, k=draw.randint(1, 5))) for _ in range(draw.randint(1, 4))]
        return Line("noise", "pieces", [*words, "explain=true"])
    line = texts(draw, values(draw))
    number = draw.randrange(len(line))
    letters = [*line[number]]
    for _ in range(draw.randint(1, 2)):
        letters[draw.randrange(len(letters))] = draw.choice(string.printable)
    line[number] = "".join(letters)
    return Line("noise", "letters", [*line, "explain=true"])
