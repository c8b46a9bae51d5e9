"""Rules for the gap between training and validation."""

import numpy as np

from gridstorm.config import number
from gridstorm.diagnosis import remedy
from gridstorm.diagnosis.curves import Curves
from gridstorm.diagnosis.finding import Finding, beyond, one_of, percent

WORSE = 0.15  # by which the validation loss is above its best at the end: healthy at most 0.06
BETTER = 0.6  # of the training loss of the epoch after it is the validation loss: healthy at least 0.66
SPREAD = 4.0  # times 1 / sqrt(n) of the loss, by which the mean of n validation samples may be easier by chance
CHANCE = 0.1  # the same where their number is not known
FEW = 100  # validation samples, of which a lucky choice is easier from the begin on
LEARNED = 0.23  # of the ratio of the first epochs is then that of the last ones: lucky choices at least 0.24


def overfitting(curves: Curves) -> Finding | None:
    """Find a validation loss that rises again while the training loss goes on falling."""
    if not curves.overfits:
        return None
    best = int(np.nanargmin(curves.val))
    worse = (curves.val_end - curves.val[best]) / (curves.trivial if curves.is_signed else curves.val[best])
    rise = f"since epoch {curves.number_of(best)} the validation loss rose by {percent(worse)}"
    words = f"{rise} to {number(curves.val_end)}, while the training loss fell to {number(curves.train[-1])}."
    dropout = remedy.setting(curves, "model.dropout", 0.3) if curves.facts.largest("dropout") < 0.1 else None
    tries = (remedy.epochs(curves, curves.number_of(best), "where it was best"), dropout)
    return Finding("overfitting", words, one_of(tries), curves.step_of(best), beyond(worse, WORSE))


def leak(curves: Curves) -> Finding | None:
    """Find validation samples that are easier than those of training, and nothing that explains it."""
    val, train = curves.val, curves.train
    explained = max(
        curves.facts.largest("dropout"), curves.facts.largest("label_smoothing"), curves.facts.largest("l1")
    )
    if len(val) < 6 or len(val) != len(train) or explained > 0 or curves.is_signed:
        return None
    late = slice(-max(3, len(val) // 3), None)
    ratios = (val[:-1] / train[1:])[late]
    ratio, steady = float(np.median(ratios)), float((ratios < 0.9).mean())
    least = BETTER - CHANCE if curves.facts.val_samples is None else 1 - SPREAD / curves.facts.val_samples**0.5
    lucky = (curves.facts.val_samples or FEW) < FEW and ratio > LEARNED * max(1.0, float(val[0] / train[1]))
    if not ratio < min(BETTER, least) or steady < 0.9 or curves.swings[1] > 0.02 or lucky:
        return None
    words = f"the validation loss is {percent(ratio)} of the training loss of the epoch after it, without dropout."
    advice = "Look whether validation samples, or copies of them, are among the training samples."
    return Finding("leak", words, (remedy.words(advice),), None, beyond(BETTER / max(ratio, 1e-3), 1.0))
