"""Text that every Python carries: its language reference, or the sources of its standard library."""

import sys
import sysconfig
from pathlib import Path
from typing import Literal

from gridstorm.data import TextData


class PythonText(TextData):
    """Bytes of `pydoc_data.topics` (about 0.5 MB of English) or of the standard library's modules (about 5 MB).

    Both differ a little from one version of Python to the next; the fingerprint says which one it was.
    """

    def __init__(
        self,
        corpus: Literal["topics", "stdlib"] = "topics",
        context: int = 64,
        batch_size: int = 16,
        seed: int = 0,
        split_seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
    ) -> None:
        super().__init__(context, batch_size, seed, split_seed, val_fraction, test_fraction)
        self.corpus = corpus

    def documents(self) -> list[bytes]:
        """Topics of the reference, or modules of the library, by name. Raises ValueError where Python lacks them."""
        documents = _topics() if self.corpus == "topics" else _stdlib()
        if not documents:
            raise ValueError(
                f"This Python ({sys.prefix}) has no text for data.corpus={self.corpus}. "
                "Use the other corpus, or a file of your own: data=text data.path=FILE."
            )
        return documents


def _topics() -> list[bytes]:
    try:
        from pydoc_data.topics import topics
    except ImportError:  # Some distributions leave it out.
        return []
    return [topics[name].encode() for name in sorted(topics)]


def _stdlib() -> list[bytes]:
    sources = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    return [source.read_bytes() for source in sources if source.stem in sys.stdlib_module_names]
