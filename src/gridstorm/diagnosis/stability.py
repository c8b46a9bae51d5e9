"""Rules for a loss that does not go down steadily: mostly a learning rate that is too large."""

import numpy as np

from gridstorm.config import number
from gridstorm.diagnosis import remedy
from gridstorm.diagnosis.curves import Curves
from gridstorm.diagnosis.finding import Finding, beyond, one_of, percent

# All losses below are in units of the trivial loss. "Healthy" and "planted" are the runs of bench.diagnosis.
LOST = 1.5  # times the loss of the begin (or the trivial one) at the end: healthy at most 0.6
SKIPPED = 0.01  # share of the steps: GradScaler leaves out those that overflow, some at the begin, few later
DOWN, LOST_AGAIN = 0.5, 0.9  # shares of the first loss, between which no training goes back without a cause
SWING = 0.03  # validation losses of neighboring epochs differ by so much at the end: healthy at most 0.02
UNSTEADY = 0.012  # the same of the mean training losses: healthy at most 0.008
SMALL_SHARE = 0.35  # of both, with small batches at a constant rate, where there is a known cause
TRAINING_SWINGS = 0.25  # share of that in the training losses, which a noisy end does not have
SMALL = 8  # samples of a batch, whose mean gradient is mostly noise (McCandlish et al. 2018, for small tasks)
CHANGE = 0.04  # share of its weights that a layer changes in a step at the end: healthy at most 0.025; 0.001 is usual
SPIKE = 5.0  # times the loss of the begin (or the trivial one), that single steps reach later: healthy at most 1.9
RISE = 0.05  # by which the training loss is above its least at the end: healthy at most 0.01
POSITION = 0.6  # share of the variance of a step's loss that its place in the epoch explains: healthy at most 0.35
ROUNDS = 4  # epochs that are needed to see that


def not_finite(curves: Curves) -> Finding | None:
    """Find a loss that is NaN or infinite, in training for more than a step now and then, or in validation at the end.

    With mixed precision single steps overflow and are left out; that is no fault.
    """
    wrong = ~np.isfinite(curves.losses)
    in_validation = len(curves.val) > 0 and not np.isfinite(curves.val[-1])
    if not in_validation and not (wrong.mean() > SKIPPED or wrong[-1:].any()):
        return None
    if wrong.any():
        step, share = int(curves.steps[wrong.argmax()]), percent(float(wrong.mean()))
        lasts = wrong[int(wrong.argmax()) :].all()
        since = f"from step {step} on" if lasts else f"in {share} of the steps, first in step {step}"
        words = f"the training loss is NaN or infinite {since}."
    else:
        step = curves.step_of(int((~np.isfinite(curves.val)).argmax()))
        words = f"the validation loss is NaN or infinite from step {step} on."
    tries = (remedy.slower(curves, 10.0), remedy.clipping(curves))
    return Finding("not_finite", words, one_of(tries), step, 0.99)


def diverged(curves: Curves) -> Finding | None:
    """Find a loss that ends far above where it began, or where it began after it had been far below."""
    if curves.is_signed:
        return None
    level = max(curves.first, curves.trivial) if curves.is_known else max(curves.first, float(curves.train[0]))
    least = int(np.nanargmin(curves.train)) if np.isfinite(curves.train).any() else 0
    if curves.end > (LOST if curves.is_known else 2 * LOST) * level:
        times = f"{number(curves.end / level)} times what it began with"
        above = int((curves.losses > LOST * level).argmax())
        words = f"the training loss ends at {number(curves.end)}, {times}."
        return Finding("diverged", words, (remedy.slower(curves, 10.0),), int(curves.steps[above]),
                       beyond(curves.end / level, LOST))  # fmt: skip
    if curves.train[least] < (DOWN if curves.is_known else DOWN - 0.2) * level and curves.end > LOST_AGAIN * level:
        begin = f"{number(curves.train[least])} in epoch {curves.number_of(least)}"
        words = f"the training loss was down at {begin}, and ends at {number(curves.end)}, where it began."
        return Finding("diverged", words, (remedy.slower(curves),), curves.step_of(least), 0.9)
    return None


def oscillating(curves: Curves) -> Finding | None:
    """Find a loss that swings from epoch to epoch, in training too, instead of coming down."""
    swings, in_training = curves.swings
    if not _swings(curves) or _is_noise(curves):
        return None
    late = curves.losses[len(curves.losses) // 2 :]
    raised = float((np.diff(late) > 0).mean()) if len(late) > 1 else 0.0
    which, size = ("validation", swings) if swings >= SWING else ("training", in_training)
    swing = f"the {which} loss swings by {100 * size:.2g} % of a constant guess's loss from epoch to epoch at the end"
    words = f"{swing}, and {percent(raised)} of the steps raise the training loss."
    tries = (remedy.slower(curves), remedy.schedule(curves, "warmup_cosine", "falls to 0"))
    return Finding("oscillating", words, one_of(tries), curves.middle_step, _confidence(curves))


def noisy_end(curves: Curves) -> Finding | None:
    """Find a loss that jumps at the end because batches are small, or in the validation alone."""
    swings, in_training = curves.swings
    if not _swings(curves) or not _is_noise(curves):
        return None
    which, size = ("validation", swings) if swings >= SWING else ("training", in_training)
    words = f"the {which} loss jumps by {100 * size:.2g} % of a constant guess's loss from epoch to epoch at the end."
    batch = curves.facts.number("data.batch_size")
    larger = remedy.setting(curves, "data.batch_size", int(batch * 8)) if batch and batch <= SMALL else None
    falling = remedy.schedule(curves, "cosine", "falls to 0")
    if larger and falling:
        larger = remedy.both(larger, falling, "less noise, and steps that get shorter")
    large = remedy.is_large(curves.facts)
    tries = (remedy.slower(curves), larger, falling) if large else (larger, falling, remedy.slower(curves))
    return Finding("noisy_end", words, one_of(tries), curves.middle_step, _confidence(curves))


def _swings(curves: Curves) -> bool:
    swings, in_training = curves.swings
    has_cause = _is_small(curves) and curves.has_constant_rate
    rises = curves.overfits and not has_cause and not remedy.is_large(curves.facts)  # then swings say little
    # Where only single losses of epochs are known, these may be of one batch.
    unsteady, swing = (UNSTEADY, SWING) if curves.is_known else (2 * SWING, 2 * SWING)
    if has_cause:
        unsteady, swing = SMALL_SHARE * unsteady, SMALL_SHARE * swing
    return in_training >= unsteady or (swings >= swing and not rises)


def _is_noise(curves: Curves) -> bool:
    """Tell whether swings come from small batches, or are of the validation alone."""
    swings, in_training = curves.swings
    steady = in_training < min(UNSTEADY, TRAINING_SWINGS * swings) and not remedy.is_large(curves.facts)
    return steady or _is_small(curves)


def _is_small(curves: Curves) -> bool:
    size = curves.facts.number("data.batch_size")
    return size is not None and size <= SMALL


def _confidence(curves: Curves) -> float:
    swings, in_training = curves.swings
    return max(beyond(swings, SWING), beyond(in_training, UNSTEADY))


def lr_at_stability_edge(curves: Curves) -> Finding | None:
    """Find steps that only just do not diverge: they throw the loss up, or change whole shares of the weights.

    What is thrown up may come down elsewhere: the catapult of Lewkowycz et al. (2020), section 2.
    """
    tries = (remedy.slower(curves), remedy.schedule(curves, "warmup_cosine", "falls to 0"))
    spike = _spike(curves)
    if spike > SPIKE:
        words = f"single steps throw the training loss up to {number(spike)} times what it began with."
        step = int(curves.steps[np.nanargmax(curves.losses)])
        return Finding("lr_at_stability_edge", words, one_of(tries), step, beyond(spike, SPIKE))
    changes = curves.layers.update
    late = changes[len(changes) // 2 :]
    change = float(np.nanmedian(np.nanmax(late, 1))) if np.isfinite(late).any() else 0.0
    if not CHANGE < change < np.inf:
        return None
    words = f"a step changes a layer's weights by {percent(change)} of their norm at the end, where 0.1 % is usual."
    return Finding("lr_at_stability_edge", words, one_of(tries), curves.middle_step, beyond(change, CHANGE))


def _spike(curves: Curves) -> float:
    """Return how many times the first loss a later step reached, 0 where that says nothing."""
    later = curves.losses[1:][np.isfinite(curves.losses[1:])]
    if not curves.is_known or not curves.is_stepwise or len(later) == 0:
        return 0.0
    return float(later.max() / max(curves.first, curves.trivial))


def rising_train_loss(curves: Curves) -> Finding | None:
    """Find a training loss that rises again for good."""
    train = curves.train
    if len(train) < ROUNDS or not np.isfinite(train).all():
        return None
    least = int(train.argmin())
    rise = (train[-1] - train[least]) / curves.trivial
    steady = np.diff(train[least:])
    if not rise > RISE or len(steady) < 3 or (steady > 0).mean() < 0.7:
        return None
    begin = f"{number(train[least])} in epoch {curves.number_of(least)}"
    words = f"the training loss rises from {begin} to {number(train[-1])}."
    tries = (remedy.schedule(curves, "cosine", "falls to 0"), remedy.slower(curves))
    return Finding("rising_train_loss", words, one_of(tries), curves.step_of(least), beyond(rise, RISE))


def periodic(curves: Curves) -> Finding | None:
    """Find a loss that repeats itself in each epoch: the batches come in one order, and are not alike."""
    share = curves.share_of_position
    if share is None or share < POSITION:
        return None
    words = (
        f"the place of a batch in its epoch explains {percent(share)} of how its loss differs: they are not shuffled."
    )
    advice = "Shuffle the training data in each epoch, such as with DataLoader(shuffle=True)."
    return Finding("periodic", words, (remedy.words(advice),), None, beyond(share, POSITION))
