"""Rules for what steps do to the layers: gradients that vanish or explode, units that are dead, clipping."""

import numpy as np

from gridstorm.config import number
from gridstorm.diagnosis import remedy
from gridstorm.diagnosis.curves import Curves
from gridstorm.diagnosis.finding import Finding, beyond, one_of, percent

VANISHED = 1e-3  # share of the whole gradient that a layer has: healthy at least 0.03
EXPLODED = 100.0  # norm of the gradient: healthy at most 20
ABOVE = 3.0  # times the trivial loss, which a network that has learned nothing begins with: healthy at most 2.5
DEAD = 0.6  # share of a layer's units: healthy at most 0.25
CLIPPED = 10.0  # times the largest norm that is allowed: a step is then a tenth of what it would be
NORMALIZE = "Put normalization between the layers, use fewer of them, or activations such as ReLU that do not saturate."
LESS = "Clip at a larger norm, or not at all."
CLIP = "Clip the gradients to a norm of 1, and begin with smaller weights."


def vanishing_gradients(curves: Curves) -> Finding | None:
    """Find a layer that next to nothing of the gradient reaches (Glorot & Bengio 2010, section 4)."""
    gradients = curves.layers.grad
    if len(gradients) == 0 or gradients.shape[1] < 2 or curves.end < 0.05 * curves.trivial:
        return None
    early = gradients[: max(1, len(gradients) // 4)]
    whole = np.maximum(
        np.nanmax(early, 1), curves.grad_norm[: len(early)] if len(curves.grad_norm) >= len(early) else 0
    )
    parts = early / np.maximum(whole, 1e-30)[:, None]
    shares = np.minimum(np.nanmedian(parts, 0), parts[0])  # what begins so may have lost its chance
    least = int(np.nanargmin(shares))
    if not shares[least] < VANISHED:
        return None
    words = f"{curves.layers.names[least]} gets {shares[least]:.1g} of the gradient, where 0.1 or more is usual."
    tries = (
        remedy.setting(curves, "model.norm", "batch"),
        remedy.setting(curves, "model.activation", "relu") if _saturates(curves) else None,
        remedy.setting(curves, "model.depth", 2),
    )
    return Finding(
        "vanishing_gradients", words, one_of(tries, NORMALIZE), None, beyond(VANISHED / max(shares[least], 1e-9), 1.0)
    )


def _saturates(curves: Curves) -> bool:
    return str(curves.facts.keys.get("model.activation")) in ("sigmoid", "tanh")


def exploding_gradients(curves: Curves) -> Finding | None:
    """Find gradients that are far too long (Pascanu et al. 2013, section 3.2, which clips them)."""
    norms = curves.grad_norm[np.isfinite(curves.grad_norm)]
    early = norms[: max(1, len(norms) // 8)]  # a small data set is learned by heart soon, and then has none
    if len(early) == 0 or not np.median(early) > EXPLODED or not _begins_high(curves):
        return None
    norm = float(np.median(early))
    words = f"the gradient has a norm of {number(norm)}, where 1 to 10 are usual."
    tries = (remedy.setting(curves, "model.norm", "batch"), remedy.clipping(curves))
    return Finding("exploding_gradients", words, one_of(tries, CLIP), None, beyond(norm, EXPLODED))


def _begins_high(curves: Curves) -> bool:
    """Tell whether the first loss is far above a constant guess's: large targets have long gradients too."""
    scaled = curves.facts.largest("dropout") > 0.5  # which makes what is left as many times larger
    return curves.is_known and curves.first > ABOVE * curves.trivial and not scaled


def dead_units(curves: Curves) -> Finding | None:
    """Find a layer most of whose units get no gradient: ReLUs that no sample switches on (Lu et al. 2020)."""
    dead = curves.layers.dead
    if len(dead) == 0 or not np.isfinite(dead).any() or curves.end < 0.05 * curves.trivial:
        return None
    shares = np.nanmedian(dead[len(dead) // 2 :], 0)
    most = int(np.nanargmax(np.nan_to_num(shares, nan=-1.0)))
    if not shares[most] > DEAD:
        return None
    layer = curves.layers.names[most]
    words = f"{percent(shares[most])} of the units of {layer} get no gradient: nothing switches them on."
    born = np.nanmax(dead[0]) > DEAD and not remedy.is_large(curves.facts)
    norm, leaky = (remedy.setting(curves, f"model.{key}", value) for key, value in remedy.LAYER_KEYS.items())
    tries = (norm, leaky, remedy.slower(curves)) if born else (remedy.slower(curves), norm, leaky)
    return Finding("dead_units", words, one_of(tries), None, beyond(shares[most], DEAD))


def over_clipped(curves: Curves) -> Finding | None:
    """Find gradients that nearly every step cuts to a small share of themselves."""
    limit = curves.facts.number("trainer.gradient_clip_val")
    norms = curves.grad_norm[np.isfinite(curves.grad_norm)]
    if not limit or len(norms) == 0 or np.median(norms) < CLIPPED * limit:
        return None
    ratio = float(np.median(norms) / limit)
    words = f"gradients are cut to 1/{ratio:.0f} of their norm, {number(float(np.median(norms)))}."
    tries = (remedy.setting(curves, "trainer.gradient_clip_val", remedy.rounded(2 * float(np.median(norms)))),)
    return Finding("over_clipped", words, one_of(tries, LESS), None, beyond(ratio, CLIPPED))
