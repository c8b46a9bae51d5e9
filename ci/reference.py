"""Writes docs/reference/ for the site: every choice and key, from conf/ and signatures, and what Python is given."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import gridstorm
from gridstorm.config import GROUPS
from gridstorm.config.limit import TRAINER_TYPES, TYPES
from gridstorm.target import describe, find, written

ROOT = Path(__file__).parents[1]
CONF, PAGES = ROOT / "conf", ROOT / "docs" / "reference"
KEY = re.compile(r"^(?P<key>\w+):\s*(?P<value>[^#\n]*?)\s*(?:#\s*(?P<note>.*))?$", re.MULTILINE)


def configuration() -> str:
    """Return every group with its choices, and each choice with its keys, their types and defaults."""
    lines = ["# Every choice and key", "", "A choice is `GROUP=NAME`, a key `GROUP.KEY=VALUE`.", "", "## A run", ""]
    lines += [*table("", CONF / "gridstorm.yaml")]
    for group in sorted(group for group in GROUPS if (CONF / group).is_dir()):
        lines += ["", f"## {group}", ""]
        for file in sorted((CONF / group).glob("*.yaml")):
            first, second = [*file.read_text().splitlines(), ""][:2]
            lines += ["", f"### `{group}={file.stem}`", "", (second if first.startswith("# @") else first).lstrip("# ")]
            lines += ["", *table(group, file)]
    return "\n".join(lines) + "\n"


def table(group: str, file: Path) -> Iterator[str]:
    """Yield the rows of a file's keys; none where it has none of its own."""
    content: dict[str, Any] = yaml.safe_load(file.read_text()) or {}
    target = find(str(content.get("_target_")))
    names = [name for name in content if name not in ("_target_", "_partial_", "defaults", "hydra", "_sweep_")]
    rows = {row["key"]: row for row in KEY.finditer(file.read_text())}
    if target:
        yield f"Builds `{target.path}`.\n"
    if names:
        yield "| key | type | default | |\n|---|---|---|---|"
    typed = {**TYPES, **TRAINER_TYPES}
    for name in names:
        key = f"{group}.{name}".lstrip(".") if group not in ("experiment", "") else name
        argument = target.signature().get(name) if target else None
        annotation = argument.type if argument else written(typed[key]) if key in typed else None
        shown = (
            content[name] if isinstance(content[name], str) else yaml.safe_dump(content[name], default_flow_style=True)
        )
        default = str(shown).removesuffix("\n").removesuffix("\n...").replace("|", "\\|")
        note = (rows[name]["note"] or "") if name in rows else ""
        yield f"| `{key}` | {describe(annotation) if annotation is not None else ''} | `{default}` | {note} |"


def python() -> str:
    """Return the page of what `import gridstorm` gives."""
    lines = ["# Python reference", "", "What `import gridstorm` gives.", ""]
    return "\n".join([*lines, *(f"::: gridstorm.{name}\n" for name in gridstorm.__all__)])


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for name, text in {"configuration": configuration(), "python": python()}.items():
        (PAGES / f"{name}.md").write_text(text)
