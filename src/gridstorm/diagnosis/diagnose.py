"""From curves to findings: the table of the rules."""

import warnings
from collections.abc import Collection

import numpy as np

from gridstorm.diagnosis.curves import Curves
from gridstorm.diagnosis.finding import HEALTHY, Finding, Rule
from gridstorm.diagnosis.gap import leak, overfitting
from gridstorm.diagnosis.gradient import dead_units, exploding_gradients, over_clipped, vanishing_gradients
from gridstorm.diagnosis.progress import never_learned, saturated, still_improving, too_slow, underfitting
from gridstorm.diagnosis.stability import (
    diverged,
    lr_at_stability_edge,
    noisy_end,
    not_finite,
    oscillating,
    periodic,
    rising_train_loss,
)

FAR = 1.5  # times the trivial loss, above which a loss falls by shares of itself
LEARNED = 0.9  # share of the trivial loss below which training has found something
# The rules, the gravest first, each with the names of those that it explains: they are not told beside it.
LATER = ("never_learned", "still_improving", "saturated", "underfitting", "overfitting", "leak")
WITHOUT_A_GAP = tuple(name for name in LATER if name != "overfitting")
SWINGING = ("oscillating", "noisy_end", "lr_at_stability_edge", "rising_train_loss")
OF_LAYERS = ("dead_units", "vanishing_gradients")
RULES: dict[Rule, tuple[str, ...]] = {
    not_finite: ("diverged", *SWINGING, *LATER, "too_slow", *OF_LAYERS, "exploding_gradients", "periodic"),
    exploding_gradients: ("diverged", *SWINGING, *LATER, "too_slow", *OF_LAYERS),
    diverged: (*SWINGING, *LATER, *OF_LAYERS, "periodic"),
    periodic: (*SWINGING, *LATER),
    over_clipped: ("never_learned", "too_slow", "still_improving", "underfitting"),
    underfitting: (*SWINGING, "never_learned", "still_improving", "saturated", "leak", *OF_LAYERS),
    rising_train_loss: ("oscillating", "lr_at_stability_edge", *WITHOUT_A_GAP),
    oscillating: ("lr_at_stability_edge", *WITHOUT_A_GAP),
    lr_at_stability_edge: (*LATER, "vanishing_gradients"),
    dead_units: ("vanishing_gradients", *LATER, "too_slow"),
    vanishing_gradients: (*LATER, "too_slow"),
    too_slow: ("never_learned", "still_improving", "leak"),
    never_learned: ("still_improving", "saturated", "overfitting", "leak", "noisy_end"),
    noisy_end: ("saturated", "still_improving", "overfitting"),
    still_improving: ("leak",),
    overfitting: ("saturated",),
    saturated: (),
    leak: (),
}  # fmt: skip


RULE_NAMES = tuple(rule.__name__ for rule in RULES)


def is_hopeless(curves: Curves, names: Collection[str], left: int) -> bool:
    """Tell whether one of some rules holds of curves, whatever explains it, and the training loss falls too slowly.

    A validation loss may come later: batch normalisation takes its time, and so does a small learning rate. What is
    left is taken to bring twice of what the last epoch brought, each epoch: by so much, or far above, by such a share.

    Args:
        curves: Up to now.
        names: Of the rules.
        left: Epochs that are still to be trained.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        if not any(rule(curves) for rule in RULES if rule.__name__ in names):
            return False
        now, before = float(curves.train[-1]), float(np.nanmin(curves.train[:-1], initial=np.inf))
        high, falls = LEARNED * curves.trivial, now < before < np.inf
        if not falls or not np.isfinite(now):
            return not now < high
        end = now * (now / before) ** (2 * left) if now > FAR * curves.trivial else now - 2 * left * (before - now)
        return end > high


def diagnose(curves: Curves) -> list[Finding]:
    """Return what curves say, the gravest first; a single finding `healthy` where nothing is wrong."""
    findings: list[Finding] = []
    explained: set[str] = set()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of means of nothing, which are NaN and break no rule
        for rule, explains in RULES.items():
            if rule.__name__ not in explained and (finding := rule(curves)):
                findings.append(finding)
                explained.update(explains)
    return findings or [Finding(HEALTHY, "nothing in the curves is wrong.", (), None, 0.5)]
