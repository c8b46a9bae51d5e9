"""Axes of a report's charts."""

import pytest

from gridstorm.answer import Key
from gridstorm.report.chart import key_scale


def test_a_few_values_whose_labels_would_lie_on_each_other_lie_evenly() -> None:
    key = Key("optimizer.lr", (0.001, 0.01, 0.1, 1e25), is_log=True)
    scale, ticks = key_scale(key, 0, 100)
    assert [label for _, label in ticks] == ["0.001", "0.01", "0.1", "1e25"]
    assert [scale.at(value) for value, _ in ticks] == pytest.approx([4, 4 + 92 / 3, 4 + 184 / 3, 96])


def test_other_values_lie_where_they_are() -> None:
    scale, _ = key_scale(Key("model.depth", (1, 2, 4)), 0, 108)
    assert [scale.at(value) for value in (1, 2, 4)] == pytest.approx([4, 4 + 100 / 3, 104], abs=0.3)
