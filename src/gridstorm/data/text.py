"""Text of the user's own: a file, a folder of them, or JSON Lines."""

import mmap
from pathlib import Path

from gridstorm.data import TextData
from gridstorm.data._frame import checked, read

MAPPED = 2**26  # bytes, above which a file is mapped and not read
SHOWN = 3
LINES = (".jsonl", ".ndjson", ".jsonl.gz")


class Text(TextData):
    """A text file: its beginning to learn from, its end to validate and to test on; or many, split whole.

    Args:
        path: A file, a folder of text files, or JSON Lines with a text in each.
        field: What a line of JSON calls its text.
        tokenizer: `byte`; `bpe`, pieces of words that are learned from the training part; or the file of one.
        vocabulary: How many pieces `bpe` learns.
    """

    def __init__(
        self,
        path: str,
        field: str = "text",
        tokenizer: str = "byte",
        vocabulary: int = 2048,
        context: int = 64,
        batch_size: int = 16,
        seed: int = 0,
        split_seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
    ) -> None:
        super().__init__(context, batch_size, seed, split_seed, val_fraction, test_fraction, tokenizer, vocabulary)
        self.path, self.field = path, field
        self.no_texts: list[str] = []

    def documents(self) -> list[bytes]:
        """The texts. Raises ValueError where they cannot be read or are empty."""
        if Path(self.path).expanduser().is_dir():
            texts = self._in_folder(Path(self.path).expanduser())
        elif self.path.endswith(LINES):
            frame = read(self.path)
            if self.field not in frame.columns:
                listed = ", ".join(frame.columns)
                raise ValueError(f"data.field={self.field}: {self.path} has {listed}. Give one of them.")
            texts = [str(text).encode() for text in frame[self.field].drop_nulls().to_list() if text]
        else:
            texts = [self._whole(checked(self.path, "data.path"))]
        if not any(len(text) for text in texts):
            told = f" {self.notes[0]}." if self.notes else ""
            raise ValueError(f"data.path={self.path}: It is empty.{told} Give the path of a file with text in it.")
        return texts

    def _whole(self, file: Path) -> bytes:
        """Return a file's bytes; those of a large one are read by need."""
        if file.stat().st_size < MAPPED or self.tokenizer_name != "byte":
            return file.read_bytes()
        with file.open("rb") as opened:
            return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY))  # type: ignore[return-value]

    def _in_folder(self, folder: Path) -> list[bytes]:
        """Return the texts in a folder, by name; what is hidden or no text is left out."""
        files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
        texts = {file: file.read_bytes() for file in files}
        self.no_texts = [file.name for file, text in texts.items() if b"\0" in text[:4096]]
        return [text for file, text in texts.items() if text and file.name not in self.no_texts]

    @property
    def notes(self) -> list[str]:
        """What is to be known before the training."""
        count, named = len(self.no_texts), ", ".join(self.no_texts[:SHOWN])
        more = ", ..." if count > SHOWN else ""
        return [f"Left out: {count} files that are no texts in UTF-8: {named}{more}"] if count else []
