"""Types as they are written in a target's source."""

from typing import Any

import pytest

from gridstorm.target.annotation import accepts, describe, kind, literals, shown, written

FITTING: list[tuple[str, Any]] = [
    ("int", 3),
    ("float", 3),
    ("float", 0.5),
    ("bool", True),
    ("str", "relu"),
    ("int | None", None),
    ("Optional[int]", None),
    ("Union[int, str]", "auto"),
    ("typing.Optional[float]", 1),
    ("'int | None'", None),
    ("Annotated[int, 'positive']", 3),
    ("Literal['a', 'b']", "b"),
    ("Literal[16, '16']", 16),
    ("list[int]", [1, 2]),
    ("list", ["x", 1]),
    ("Sequence[float]", []),
    ("tuple[float, float]", [0.9, 1]),
    ("tuple[int, ...]", [1, 2, 3]),
    ("Tuple[Union[float, Tensor], float]", [0.9, 0.999]),
    ("dict[str, int]", {"a": 1}),
    ("float | Tensor", 0.1),
    ("Logger", "anything: the class cannot be told"),
    ("int", {"_target_": "torch.nn.Linear"}),
]
UNFITTING: list[tuple[str, Any]] = [
    ("int", 3.0),
    ("int", True),
    ("int", "3"),
    ("int", None),
    ("float", "abc"),
    ("float", False),
    ("bool", 1),
    ("bool", "yes"),
    ("str", 3),
    ("str", ["a"]),
    ("Literal['a', 'b']", "c"),
    ("Literal[1]", True),
    ("list[int]", [1, "a"]),
    ("list[int]", 1),
    ("tuple[float, float]", [0.9]),
    ("tuple[float, float]", [0.9, "a"]),
    ("tuple[float, float]", [0.9, 0.9, 0.9]),
    ("dict[str, int]", [1]),
    ("float | Tensor", "abc"),
]


@pytest.mark.parametrize(("annotation", "value"), FITTING)
def test_a_value_of_the_type_is_accepted(annotation: str, value: Any) -> None:
    assert accepts(written(annotation), value)


@pytest.mark.parametrize(("annotation", "value"), UNFITTING)
def test_a_value_of_another_type_is_not(annotation: str, value: Any) -> None:
    assert not accepts(written(annotation), value)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("int", "a whole number"),
        ("float | Tensor", "a number"),
        ("Union[int, float, None]", "a number or null"),
        ("Optional[str]", "text or null"),
        ("bool", "true or false"),
        ("Literal['none', 'batch']", "none or batch"),
        ("Literal['auto'] | int", "auto or a whole number"),
        ("tuple[float, float]", "a list [a number, a number]"),
        ("list[int]", "a list [a whole number, ...]"),
        ("list", "a list"),
        ("dict[str, int]", "a section"),
    ],
)
def test_a_type_is_said_in_words(annotation: str, words: str) -> None:
    assert describe(written(annotation)) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        ("", "empty"),
        ("abc", "text"),
        (True, "true or false"),
        (3, "a whole number"),
        (1.5, "a decimal number"),
        (float("inf"), "no finite number"),
        ([1, "a"], "a list [a whole number, text]"),
        ({}, "a section"),
    ],
)
def test_a_value_is_said_in_words(value: Any, words: str) -> None:
    assert kind(value) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0.001, "0.001"),
        ([0.9, None], "[0.9,null]"),
        ({"a": [True], "b": "x"}, "{a:[true],b:x}"),
    ],
)
def test_a_value_is_shown_as_it_is_written_on_the_command_line(value: Any, text: str) -> None:
    assert shown(value) == text


def test_the_values_that_a_type_lists_are_known() -> None:
    assert literals(written("Literal['a', 1] | None | Literal['b']")) == ["a", 1, "b"]
    assert literals(written("int")) == []
