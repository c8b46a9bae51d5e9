"""Convolutions over a text, of each of which the strongest answer counts."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn


class TextCNN(nn.Module):
    """Maps tokens [N, T], 0 where a text has ended, to logits [N, num_outputs].

    Embedded tokens, convolutions of several widths side by side, the maximum of each over the text, and a linear layer
    (Kim 2014, Convolutional Neural Networks for Sentence Classification, section 2).
    """

    inputs: ClassVar[tuple[str, ...]] = ("texts",)

    def __init__(
        self,
        width: int = 64,
        embedding: int = 32,
        windows: Sequence[int] = (3, 5, 7),
        dropout: float = 0.1,
        *,
        num_tokens: int,
        num_outputs: int,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, embedding)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(embedding, width, window, padding=window // 2) for window in windows
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width * len(windows), num_outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [N, num_outputs]."""
        there = (tokens > 0)[..., None]
        embedded = (self.embedding(tokens) * there).transpose(-1, -2)
        strongest = [convolution(embedded).relu().amax(-1) for convolution in self.convolutions]
        logits: Tensor = self.output(self.dropout(torch.cat(strongest, -1)))
        return logits
