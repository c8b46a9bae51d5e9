"""Rules for how far a training came, and how fast: learning rate, epochs, capacity."""

import numpy as np

from gridstorm.config import number
from gridstorm.diagnosis import remedy
from gridstorm.diagnosis.curves import Curves
from gridstorm.diagnosis.finding import Finding, beyond, one_of, percent

# Losses are in units of the trivial loss. "Healthy" and "planted" are the runs of bench.diagnosis.
TRIVIAL = 0.95  # the best loss is above so much of the trivial one: healthy at most 0.8
BARELY = 0.85  # the same, of a loss that is worse than the trivial one at the end
LUCK = 1.6  # times 1 / sqrt(n) of it, by which n validation samples may be easier by chance
SHORT = 3  # epochs, of fewer of which a trend cannot be told
FOLLOWS = 0.3  # share of the fall of the training loss, by which that of validation falls where something is learned
UNTAUGHT = 0.85  # of the trivial loss is that of training where the validation was best: healthy at most 0.7
LATE = 0.05  # share of all improvement that the last quarter of the epochs brings: healthy at most 0.04, but for a few
FALL = 0.01  # by which an epoch lowers both losses in the last quarter, whatever came before: healthy at most 0.009
STOOD = 0.0035  # by which an epoch lowers the training loss there at least: less is the validation's luck
MORE = {8: 3.5 * LATE, 4: 2 * LATE, 3: 0.0}  # times as many epochs, by what the last quarter brought
SLOW = 0.3  # of the loss is left where a learning rate is too small, and not only the epochs too few
SMALL_CHANGE = 1e-3  # share of its weights that a layer changes in a step: 0.001 is usual
STRAIGHT = 0.2  # of all improvement is in the last quarter, and no more of the loss is gone: it falls along a line
FAR_BELOW = 0.34  # of the usual learning rate
ENOUGH = 0.01  # of all improvement is what is left to be had where a training is saturated
WASTED = 0.65  # share of the epochs after that: healthy at most 0.5
FEW = 14  # epochs that may be wasted
PLATEAU = 0.03  # by which the training loss still falls in the last quarter where it stands still
HIGH = 0.25  # of the loss is left
APART = 0.2  # by which the validation loss is above it: more is overfitting
NARROW = 4  # neurons, too few to tell many things apart
DROPPED = 0.6  # share of the neurons that are switched off


def never_learned(curves: Curves) -> Finding | None:
    """Find a validation loss that never is better than that of a constant prediction."""
    if (len(curves.train) < SHORT and not curves.is_stepwise) or curves.is_signed:
        return None
    best = float(np.nanmin(curves.val)) if len(curves.val) else float(np.nanmin(curves.train, initial=np.inf))
    trivial = curves.trivial_val
    improves = curves.improves_to_the_end and curves.late > LATE and curves.train[-1] > 0.8 * curves.trivial
    improves = improves and (not len(curves.val) or curves.falls > FOLLOWS * curves.late_fall / curves.quarter)
    hopeless = (best > TRIVIAL * trivial or curves.ends_trivially(BARELY) or _is_luck(curves, best)) and not improves
    if not curves.is_known:  # the first loss may be that of a network that has learned already
        hopeless = hopeless and curves.train[-1] > TRIVIAL * curves.train[0]
    if not hopeless and not curves.stands_still and not (curves.is_known and _by_heart(curves, best)):
        return None
    words = f"the best loss is {number(best)}, and predicting always the same reaches {number(trivial)}."
    if len(curves.train) < SHORT and curves.end < 0.9 * curves.first:
        tries = remedy.epochs(curves, 8 * len(curves.train), "the loss of the steps still falls")
    elif curves.train[-1] < 0.9 * curves.train[0]:
        tries = remedy.words("Look whether targets belong to their inputs: the training loss falls, this one does not.")
    elif _has_small_steps(curves) or curves.facts.lr is None:
        tries = remedy.faster(curves)
    else:
        tries = remedy.words("Look whether targets belong to their inputs: training finds nothing in them.")
    return Finding("never_learned", words, (tries,), None,
                   beyond(best / trivial, TRIVIAL))  # fmt: skip


def _is_luck(curves: Curves, best: float) -> bool:
    """Tell whether so few validation samples may be easier by chance, as training had not learned by then."""
    samples = curves.facts.val_samples
    if not curves.is_known or not samples or len(curves.val) != len(curves.train):
        return False
    by_then = curves.train[int(np.nanargmin(curves.val))]
    return bool(best > (1 - LUCK / samples**0.5) * curves.trivial_val and by_then > UNTAUGHT * curves.trivial)


def _by_heart(curves: Curves, best: float) -> bool:
    """Tell whether a validation loss is hardly ever better than the trivial one, and in the end worse."""
    learned = curves.train[-1] < 0.9 * curves.trivial
    return bool(
        len(curves.val) and best > BARELY * curves.trivial_val and curves.val[-1] > curves.trivial_val and learned
    )


def too_slow(curves: Curves) -> Finding | None:
    """Find a loss that still falls steadily at the end by steps that are too small."""
    if curves.is_signed or not curves.improves_to_the_end or curves.end < SLOW * curves.trivial:
        return None
    if not _has_small_steps(curves):
        return None
    begin, end = number(curves.train[0]), number(curves.train[-1])
    words = f"the loss still falls at the end, and has come from {begin} to {end} only."
    return Finding("too_slow", words, (remedy.faster(curves),), None, beyond(curves.late, LATE))


def _has_small_steps(curves: Curves) -> bool:
    usual, lr = remedy.usual_rate(curves.facts), curves.facts.lr
    if usual and lr:
        return lr < FAR_BELOW * usual
    changes = curves.layers.update
    if np.isfinite(changes).any():
        return bool(np.nanmedian(np.nanmax(changes, 1)) < SMALL_CHANGE)
    return curves.late > STRAIGHT and curves.end > (1 - STRAIGHT) * curves.first  # nothing but the curve is known


def still_improving(curves: Curves) -> Finding | None:
    """Find a score that is still getting better when the training ends."""
    if not curves.improves_to_the_end or _has_small_steps(curves) or curves.facts.stopped:
        return None
    # What falls at the end of a schedule has come to its end; where no setting is known, there may be one.
    least = (3 if curves.rate_falls else 1 if curves.facts.choices else 2) * LATE
    is_luck = curves.late_fall < STOOD * curves.quarter
    if (curves.late < least or is_luck) and not (curves.has_constant_rate and curves.falls > FALL):
        return None
    words = f"the last quarter of the epochs brought {percent(curves.late)} of all improvement."
    factor = next(times for times, late in MORE.items() if curves.late > late)
    longer = remedy.epochs(curves, factor * len(curves.train), f"{factor} times as many")
    ending = remedy.schedule(curves, "cosine", "") if curves.has_constant_rate else None
    why = f"{factor} times as many, at a rate that falls to 0"
    tries = (remedy.both(longer, ending, why) if ending else longer,)
    return Finding("still_improving", words, tries, None, beyond(curves.late, LATE))


def saturated(curves: Curves) -> Finding | None:
    """Find epochs that brought nothing: the score was as good long before the end, and is not worse since."""
    cost = curves.cost
    if len(cost) < FEW or not np.isfinite(cost).all() or curves.overfits:
        return None
    gain = cost[0] - cost.min()
    room = ENOUGH * gain if curves.is_signed else min(ENOUGH * gain, 0.05 * abs(cost.min()))
    enough = int((cost <= cost.min() + room).argmax())
    left = len(cost) - 1 - enough
    share = WASTED if curves.facts.choices else 1 - (1 - WASTED) / 2  # where the loss may not be the score
    worse = 5 * ENOUGH * (gain if curves.is_signed else max(gain, float(cost.min())))
    if left < FEW or left < share * len(cost) or cost[-1] > cost.min() + worse:
        return None
    words = f"{left} of {len(cost)} epochs brought nothing any more, since epoch {curves.number_of(enough)}."
    tries = (remedy.epochs(curves, 1.3 * (enough + 1), "what it took, and a third"),)
    return Finding("saturated", words, tries, curves.step_of(enough), beyond(left / len(cost), WASTED))


def underfitting(curves: Curves) -> Finding | None:
    """Find a training loss that stands still far above 0, in a network that is too small or held back too much.

    A curve alone cannot tell a lack of capacity from noise in the data; so it takes a reason among the settings.
    """
    left = curves.end / curves.trivial
    if curves.is_signed or left < HIGH or (curves.late_fall > PLATEAU and curves.late > 2 * LATE) or curves.gap > APART:
        return None
    width, dropout = curves.facts.number("model.width"), curves.facts.largest("dropout")
    if width is not None and width < NARROW:
        reason, tries = f"hidden layers of {width:.0f}", (remedy.setting(curves, "model.width", 64),)
    elif dropout >= DROPPED:
        key = next(key for key in curves.facts.keys if key.endswith(".dropout"))
        reason, tries = f"{key}={dropout:g}", (remedy.setting(curves, key, 0.1),)
    else:
        return None
    words = f"the training loss stands still at {percent(left)} of the trivial one, validation with it: {reason}."
    return Finding("underfitting", words, one_of(tries), None, beyond(left, HIGH))
