"""The house: where the sources are, and in which order its packages stand."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE, CONF = ROOT / "src" / "gridstorm", ROOT / "conf"
# A package, or a file beside them, imports only what stands before it.
ORDER = (
    "error",
    "target",
    "config",
    "command",
    "record",
    "diagnosis",
    "report",
    "module",
    "objects",
    "run",
    "fusion",
    "sweeper",
    "library",
    "new",
    "cli",
    "__main__",
)
PACKAGES = [name for name in ORDER if (SOURCE / name).is_dir()]
FAMILIES = sorted({file.parent.name for file in SOURCE.glob("*/*.py")} - {*ORDER, "template"})  # the folders of choices
