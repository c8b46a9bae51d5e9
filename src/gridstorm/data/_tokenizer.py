"""From text to tokens and back: bytes, or pieces of words that are learned from the training part."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gridstorm.data._frame import checked


class Tokenizer(Protocol):
    """What makes tokens of a text."""

    size: int
    """How many different tokens there are."""

    def encode(self, text: bytes) -> NDArray[Any]:
        """Return the tokens of a text in UTF-8 [T]."""

    def decode(self, tokens: list[int]) -> str:
        """Return the text of tokens."""

    def content(self) -> str | None:
        """Return what it is restored from."""


class Bytes:
    """Each byte is a token."""

    size = 256

    def encode(self, text: bytes) -> NDArray[Any]:
        """Return the bytes of a text."""
        return np.frombuffer(text, np.uint8)

    def decode(self, tokens: list[int]) -> str:
        """Return the text of bytes; what is not UTF-8 shows as a replacement character."""
        return bytes(tokens).decode(errors="replace")

    def content(self) -> None:
        """Nothing is needed to make it anew."""


class Pieces:
    """Pieces of words, by byte pair encoding over bytes (Sennrich et al. 2016; Radford et al. 2019, section 2.2)."""

    def __init__(self, inner: Any) -> None:
        """Take a tokenizer of Hugging Face's `tokenizers`."""
        self.inner, self.size = inner, int(inner.get_vocab_size())

    @classmethod
    def learned(cls, texts: Iterable[bytes], size: int) -> "Pieces":
        """Return a tokenizer whose `size` pieces are learned from texts."""
        from tokenizers import Tokenizer as Inner
        from tokenizers import decoders, models, pre_tokenizers, trainers

        inner = Inner(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        inner.train_from_iterator((text.decode(errors="replace") for text in texts), trainer)
        return cls(inner)

    @classmethod
    def restored(cls, content: str) -> "Pieces":
        """Return a tokenizer from its JSON. Raises ValueError where that is none."""
        from tokenizers import Tokenizer as Inner

        try:
            return cls(Inner.from_str(content))
        except Exception as error:  # the library raises no class of its own
            raise ValueError(f"It is no tokenizer of Hugging Face ({error}).") from error

    def encode(self, text: bytes) -> NDArray[Any]:
        """Return the pieces of a text."""
        return np.asarray(self.inner.encode(text.decode(errors="replace"), add_special_tokens=False).ids, np.int32)

    def decode(self, tokens: list[int]) -> str:
        """Return the text of pieces."""
        return str(self.inner.decode(tokens, skip_special_tokens=False))

    def content(self) -> str:
        """Return its JSON."""
        return str(self.inner.to_str())


def tokenizer_of(name: str, texts: Iterable[bytes], size: int) -> Tokenizer:
    """Return a tokenizer.

    Args:
        name: `byte`, `bpe`, or a file that Hugging Face's `tokenizers` has written.
        texts: Of the training part, from which `bpe` learns.
        size: How many pieces it learns.

    Raises:
        ValueError: `tokenizers` is not installed, the size is too small, or the file is none.
    """
    if name == "byte":
        return Bytes()
    if find_spec("tokenizers") is None:
        raise ValueError(f"data.tokenizer={name} needs a package that is not installed. Run: pip install tokenizers")
    if name == "bpe":
        if size < 257:
            raise ValueError(f"data.vocabulary={size} is not more than the 256 bytes. Give 512 or more.")
        return Pieces.learned(texts, size)
    file = checked(name, "data.tokenizer")
    try:
        return Pieces.restored(Path(file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"data.tokenizer={name}: {error} Give byte, bpe, or the file of one.") from error


def rows_of(tokenizer: Tokenizer, texts: Sequence[bytes], context: int) -> Tensor:
    """Return the first tokens of texts [N, context], each by its number plus one; 0 stands where a text has ended."""
    made = np.zeros((len(texts), context), np.int16 if tokenizer.size < 2**15 - 1 else np.int32)
    for row, text in enumerate(texts):
        tokens = tokenizer.encode(text)[:context]
        made[row, : len(tokens)] = tokens.astype(made.dtype) + 1
    return torch.from_numpy(made)


def restored(content: str | None) -> Tokenizer:
    """Return the tokenizer that a run has kept."""
    return Bytes() if content is None else Pieces.restored(content)
