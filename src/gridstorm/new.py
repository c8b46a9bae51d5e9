"""A project of one's own, which trains at once and builds on Gridstorm."""

import keyword
import re
import secrets
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from gridstorm.error import Problem, UserError
from gridstorm.target import shown_path

TEMPLATE = Path(__file__).parent / "template"
NAME, HIDDEN = "my_project", "dot_"  # in the template: what the name stands for, and a name that begins with a dot


def new_project(place: Path) -> str:
    """Write a small, complete project and return what to do next.

    Args:
        place: Its folder, whose name is that of its package.

    Raises:
        UserError: The name is none of a package, the folder holds something, or it cannot be written.
    """
    place = place.absolute()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        fact, remedy = "There is something in this place, and nothing is overwritten.", "Give another name."
        raise UserError([Problem(str(place), fact, remedy)])
    refuse_a_wrong_name(place.name)
    hidden = place.parent / f".{place.name}-{secrets.token_hex(4)}"
    try:
        for file in sorted(TEMPLATE.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                _write(hidden, file, place.name)
        if place.exists():  # an empty folder stays the one in which a shell may stand
            for child in hidden.iterdir():
                child.rename(place / child.name)
            hidden.rmdir()
        else:
            hidden.rename(place)  # whole or not at all
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise UserError([Problem(str(place), f"It cannot be written ({error.strerror}).", "Give another.")]) from error
    return NEXT.format(place=shlex.quote(shown_path(place)), name=place.name)


NEXT = """\
{name}: a model, data, a preset, a sweep and two tests of your own, on top of all that Gridstorm has.

  cd {place} && pip install -e .
  python train.py
  python train.py -m sweep=width
  tensorboard --logdir outputs"""


def _write(folder: Path, file: Path, name: str) -> None:
    parts = [part.replace(NAME, name) for part in file.relative_to(TEMPLATE).parts]
    target = folder.joinpath(*(f".{part.removeprefix(HIDDEN)}" if part.startswith(HIDDEN) else part for part in parts))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(file.read_text(encoding="utf-8").replace(NAME, name), encoding="utf-8")


def refuse_a_wrong_name(name: str) -> None:
    """Refuse a name that no package of a project can have.

    Raises:
        UserError: It is not one, or there is a package of this name already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        close = re.sub(r"\W+", "_", name.lower()).strip("_")
        good = close if re.fullmatch(r"[a-z][a-z0-9_]*", close) and not keyword.iskeyword(close) else NAME
        fact = "A package's name has small letters, digits and underscores."
        raise UserError([Problem(f"gridstorm new {name}", fact, f"Write {good}.")])
    spec = find_spec(name)
    if name in sys.stdlib_module_names or (spec is not None and spec.origin):  # a mere folder is no package yet
        fact = "There is a package of this name already, which it would hide."
        raise UserError([Problem(f"gridstorm new {name}", fact, f"Write my_{name}.")])
