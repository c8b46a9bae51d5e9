"""What a sweep spans, in Hydra's own override syntax: the cells of its grid."""

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser

from gridstorm.refusal import Problem, Refusal


def grid(loader: ConfigLoader, overrides: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return the keys that take several values, and the overrides of every combination, the last key varying fastest.

    Lists (`lr=1,2`), `choice()`, `range()` and `glob()` span it; Hydra's own sweeper splits them.

    Raises:
        Refusal: An `interval()` is among them: it has no list of values.
    """
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
    swept = [one for one in parsed if one.is_sweep_override()]
    endless = [one for one in swept if not one.is_discrete_sweep()]
    if endless:
        fact = "An interval has no list of values, and a grid needs one."
        remedy = "List some, for example {}=0.001,0.01."
        raise Refusal([Problem(str(one.input_line), fact, remedy.format(one.key_or_group)) for one in endless])
    return [one.get_key_element().lstrip("+") for one in swept], BasicSweeper.split_arguments(parsed, None)[0]
