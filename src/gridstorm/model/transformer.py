"""A small GPT: a causal transformer that predicts each next token."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class Transformer(nn.Module):
    """Maps tokens [N, T] to logits [N, T, num_outputs], each from the tokens up to there; T is at most the context.

    The decoder of Vaswani et al. 2017 as GPT-2 has it (Radford et al. 2019, section 2.3): normalisation before each
    half of a block, learned positions, the embedding used again as the output layer (Press & Wolf 2017). Weights
    start with variance 1 / inputs, those that add to the residual stream smaller by 2 depth; GPT-2's fixed deviation
    of 0.02 fits its width of 768 and learns more slowly here. Raises ValueError where `heads` does not divide `width`.
    """

    inputs: ClassVar[tuple[str, ...]] = ("tokens",)

    def __init__(
        self,
        depth: int = 2,
        width: int = 96,
        heads: int = 4,
        dropout: float = 0.0,
        *,
        input_shape: tuple[int, ...],
        num_outputs: int,
    ) -> None:
        super().__init__()
        if width % heads:
            fitting = [number for number in range(1, width + 1) if width % number == 0 and number <= 2 * heads]
            raise ValueError(
                f"model.heads={heads} does not divide model.width={width}. "
                f"Choose heads among {', '.join(map(str, fitting))}, or another width."
            )
        self.embedding = nn.Embedding(num_outputs, width)
        self.position = nn.Embedding(input_shape[0], width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout, depth) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        nn.init.normal_(self.position.weight, std=width**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [N, T, num_outputs] of each next token."""
        x = self.dropout(self.embedding(tokens) + self.position.weight[: tokens.shape[-1]])
        for block in self.blocks:
            x = block(x)
        logits: Tensor = F.linear(self.norm(x), self.embedding.weight)
        return logits


class Block(nn.Module):
    """One layer [N, T, width]: attention to what came before, then a perceptron four times as wide."""

    def __init__(self, width: int, heads: int, dropout: float, depth: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.query_key_value = linear(width, 3 * width)
        self.mix = linear(width, width, 2 * depth)
        self.norm2 = nn.LayerNorm(width)
        self.up = linear(width, 4 * width)
        self.down = linear(4 * width, width, 2 * depth)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """The residual stream after this layer."""
        x = x + self.dropout(self.mix(self.attention(self.norm1(x))))
        update: Tensor = self.dropout(self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh")))
        return x + update

    def attention(self, x: Tensor) -> Tensor:
        """What each position gathers from itself and those before it (Vaswani et al. 2017, eq. 1)."""
        # [N, T, 3 width] -> three of [N, heads, T, width / heads]
        query, key, value = self.query_key_value(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        gathered: Tensor = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return gathered.transpose(1, 2).flatten(2)


def linear(num_inputs: int, num_outputs: int, num_added: int = 1) -> nn.Linear:
    """A linear layer whose outputs start with variance 1 / num_added, for inputs of variance 1."""
    layer = nn.Linear(num_inputs, num_outputs)
    nn.init.normal_(layer.weight, std=(num_inputs * num_added) ** -0.5)
    nn.init.zeros_(layer.bias)
    return layer
