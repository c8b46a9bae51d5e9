"""Whether a file of configurations can be read: said with the file and its line, before Hydra reads it."""

import codecs
import re
from pathlib import Path

import yaml

NODES = 100_000  # of a file with its aliases unfolded, more than any configuration has
BYTES, DEEPEST = 1_000_000, 200


def unreadable_yaml(file: Path) -> tuple[str, str] | None:
    """Return what is wrong with a file, in a sentence of fact and one of remedy; None if it can be read."""
    if not file.is_file():
        return f"{file} is no regular file.", "Name a YAML file."
    if file.stat().st_size > BYTES:
        return f"{file} has more than {BYTES:,} bytes.", "Keep configurations small, and data in files of their own."
    content = file.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return f"{file}, line 1: It is UTF-16.", "Save it as UTF-8."
    if content.startswith(codecs.BOM_UTF8):
        fact = "It begins with a byte order mark, so that its first line is no comment."
        return f"{file}, line 1: {fact}", "Save it as UTF-8 without BOM."
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return f"{file}, line {line}: It is not UTF-8 (byte 0x{content[error.start]:02x}).", "Save it as UTF-8."
    return _unreadable_text(file, text)


def _unreadable_text(file: Path, text: str) -> tuple[str, str] | None:
    if _depth(text) > DEEPEST:  # the parser recurses, and would end the process
        return f"{file}: It is nested more than {DEEPEST} deep.", "Write out what it is to set."
    if not text.strip():
        return f"{file} is empty.", "Write what it is to set, or name another."
    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return f"{file}, line {line}: It is not YAML ({error.problem}).", "Correct that line, or the one before it."
    except yaml.YAMLError as error:
        return f"{file}: It is not YAML ({str(error).splitlines()[0]}).", "Take out what is no text."
    if root is not None and not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "one value"
        return f"{file}, line {root.start_mark.line + 1}: It is {kind}, and no section.", "Write KEY: VALUE."
    if root is not None and _unfolded(root, {}) > NODES:
        return f"{file}: Its aliases unfold to more than {NODES:,} values.", "Write out what it is to set."
    return None


def _depth(text: str) -> int:
    """Return how deep a text may be nested, by its brackets, its margins and lists in lists; in quotes too."""
    depth = deepest = 0
    for bracket in re.findall(r"[][{}]", text):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    margins = (len(margin) for margin in re.findall(r"^[ ]*(?:[-?] +)*", text, re.MULTILINE))
    return max(deepest, max(margins, default=0) // 2)


def _unfolded(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Return how many values a node has with every alias unfolded; more than any file where it holds itself."""
    if id(node) not in sizes:
        sizes[id(node)] = NODES + 1  # of one that is met again inside itself
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for pair in inner for part in pair] if isinstance(node, yaml.MappingNode) else inner
        sizes[id(node)] = 1 + sum(_unfolded(part, sizes) for part in parts)
    return sizes[id(node)]
