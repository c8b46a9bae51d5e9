"""Remedies as command lines, with the keys and the values that a run has; in words where these are not known."""

import math

from gridstorm.diagnosis.curves import Curves, Facts
from gridstorm.diagnosis.finding import Remedy

# What optimizers usually begin with: the default of Adam (Kingma & Ba 2015, section 2) and of its kin; of SGD with
# momentum 0.9 a tenth of what is usual with batch normalisation (He et al. 2016).
USUAL_RATES = {"adam": 1e-3, "adamw": 1e-3, "nadam": 2e-3, "radam": 1e-3, "rmsprop": 1e-3, "adagrad": 1e-2, "sgd": 1e-2}
LAYER_KEYS = {"norm": "batch", "activation": "leaky_relu"}


def rounded(value: float) -> float:
    """Return a number with one digit: what a person would type."""
    return float(f"{value:.1g}")


def usual_rate(facts: Facts) -> float | None:
    """Return what the optimizer usually begins with, None where it is not known."""
    target = str(facts.keys.get("optimizer._target_", facts.choices.get("optimizer", "")))
    return USUAL_RATES.get(target.rpartition(".")[2].lower())


def is_large(facts: Facts) -> bool:
    """Tell whether the learning rate is far above what the optimizer usually begins with."""
    usual, lr = usual_rate(facts), facts.lr
    return bool(usual and lr and lr > 10 * usual)


def rate(facts: Facts, value: float, why: str) -> Remedy:
    """Return another learning rate; a schedule that rises to it follows its key."""
    return Remedy((f"{facts.lr_key}={rounded(value):g}",), why)


def slower(curves: Curves, factor: float = 3.0) -> Remedy:
    """Return a smaller learning rate: the usual one where it is far above that, else a share of it."""
    lr, usual = curves.facts.lr, usual_rate(curves.facts)
    if lr is None:
        return Remedy((), f"Take a learning rate of {'a third' if factor == 3 else f'1/{factor:g}'}.")
    if usual and lr > factor * usual:
        return rate(curves.facts, usual, "what it usually begins with")
    return rate(curves.facts, lr / factor, "a third" if factor == 3 else f"1/{factor:g}")


def faster(curves: Curves, factor: float = 10.0) -> Remedy:
    """Return a larger learning rate: the usual one where it is far below that, else a multiple of it."""
    lr, usual = curves.facts.lr, usual_rate(curves.facts)
    if lr is None:
        return Remedy((), f"Take {factor:g} times the learning rate.")
    if usual and lr * factor < usual * 3:
        return rate(curves.facts, usual, "what it usually begins with")
    return rate(curves.facts, lr * factor, f"{factor:g} times")


def epochs(curves: Curves, count: float, why: str) -> Remedy:
    """Return another number of epochs; in words a share, since what an epoch is may not be known."""
    whole, share = max(1, math.ceil(count)), count / len(curves.train)
    if curves.facts.number("trainer.max_epochs") is not None:
        return Remedy((f"trainer.max_epochs={whole}",), why)
    return Remedy(
        (), f"Train {share:.2g} times as long." if share > 1 else f"Stop after {100 * share:.0f} % of it, {why}."
    )


def schedule(curves: Curves, name: str, why: str) -> Remedy | None:
    """Return another schedule of the learning rate, where the run takes one and has another."""
    chosen = curves.facts.choices.get("scheduler")
    return Remedy((f"scheduler={name}",), why) if chosen not in (None, name) else None


def both(first: Remedy, second: Remedy, why: str) -> Remedy:
    """Return two remedies as one; the first alone where it is in words."""
    return Remedy((*first.overrides, *second.overrides), why) if first.overrides else first


def setting(curves: Curves, key: str, value: object, why: str = "") -> Remedy | None:
    """Return another value of a key, where the run has that key."""
    return Remedy((f"{key}={value}",), why) if key in curves.facts.keys else None


def clipping(curves: Curves) -> Remedy | None:
    """Return that gradients are clipped, where they are not, and the run's own network is trained."""
    limit = curves.facts.number("trainer.gradient_clip_val")
    ours = "optimizer" in curves.facts.choices  # of a LightningModule nobody knows whether it steps by itself
    return setting(curves, "trainer.gradient_clip_val", 1.0) if ours and not limit else None


def words(text: str) -> Remedy:
    """Return an advice in words."""
    return Remedy((), text)
