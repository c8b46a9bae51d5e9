"""What to learn from: one data set a file.

Everything here is held in memory and served as whole-tensor batches. A data module says what it yields (`task`,
`inputs`, `input_shape`, `num_outputs`), so that nobody types a shape twice.
"""

from gridstorm.data._batches import Batches
from gridstorm.data._memory import PARTS, InMemory, Part, digest
from gridstorm.data._split import split
from gridstorm.data._tensor import TensorData, moments
from gridstorm.data._text import TextData

__all__ = ["PARTS", "Batches", "InMemory", "Part", "TensorData", "TextData", "digest", "moments", "split"]
