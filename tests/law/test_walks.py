"""The pages that walk a reader through something are followed, step by step."""

from pathlib import Path

import pytest

from pages import WALKS, Walk, masked


@pytest.mark.slow
@pytest.mark.parametrize("walk", WALKS, ids=str)
def test_every_walk_of_the_docs_is_followed(walk: Walk, tmp_path: Path) -> None:
    steps = [*walk.steps(walk.prepared(tmp_path))]
    assert steps
    for command, shown, now in steps:
        assert masked(now) == masked(shown), command
