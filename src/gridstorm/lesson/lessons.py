"""The sentences of the beginner's article, each with what has to be seen for it to hold.

What is trained for it is in conf/experiment/lesson/, a preset for each, by the same name. A check is given the runs in
the order in which the preset lists them, and returns what was seen; it raises where that is not what the sentence says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gridstorm.lesson.trained import Trained

BAD_SWINGS = {"oscillating", "noisy_end", "lr_at_stability_edge", "rising_train_loss", "dead_units"}
EXPLODED = {"diverged", "not_finite", *BAD_SWINGS}
SLOW = {"too_slow", "still_improving", "never_learned"}


class NotSeenError(Exception):
    """What a sentence says was not to be seen."""


@dataclass(frozen=True)
class Lesson:
    """A sentence, and what shows it.

    Args:
        sentence: It.
        check: Looks at the runs.
        part: Which losses are drawn: `train` or `val`.
        branch: Of its first run, one more that branches off: the epoch, and what is another one from there on.
    """

    sentence: str
    check: Callable[[Sequence[Trained]], str]
    part: str = "train"
    branch: tuple[int, str] | None = None


def require(seen: bool, words: str) -> None:
    """Raise where something was not seen."""
    if not seen:
        raise NotSeenError(words)


def rate_too_large(runs: Sequence[Trained]) -> str:
    """See swings at a large rate, and an explosion at a still larger one."""
    good, large, larger = runs
    require(bool(large.names & BAD_SWINGS), f"{large.label} does not swing: {', '.join(large.names)}.")
    require(bool(larger.names & EXPLODED), f"{larger.label} does not explode: {', '.join(larger.names)}.")
    peak = max(larger.train)
    require(peak > 20 * max(good.train), f"The loss of {larger.label} stays below {peak:.3g}.")
    require(good.best < large.best, f"{large.label} is no worse than {good.label}.")
    swings = f"{large.label} swings and comes to {large.best:.3g}"
    return f"{good.label} reaches {good.best:.3g}; {swings}; the loss of {larger.label} goes up to {peak:.3g}."


def rate_too_small(runs: Sequence[Trained]) -> str:
    """See the same loss fall more slowly."""
    good, small = runs
    require(bool(small.names & SLOW), f"{small.label} is not slow: {', '.join(small.names)}.")
    reached = next(number for number, loss in enumerate(good.val, 1) if loss < small.val[-1])
    require(reached < len(good.val) / 3, f"{good.label} takes {reached} epochs too.")
    return f"What {small.label} reaches in {len(small.val)} epochs, {good.label} has after {reached}."


def rate_decay(runs: Sequence[Trained]) -> str:
    """See a falling rate end below both constant ones."""
    large, decayed, small, _ = runs
    lowest = min(large.train[-1], small.train[-1])
    require(decayed.train[-1] < lowest, f"The constant rates end at {lowest:.3g}, and {decayed.label} no lower.")
    ends = f"{large.train[-1]:.3g} and {small.train[-1]:.3g}"
    return f"The constant rates end at {ends}; {decayed.label} ends at {decayed.train[-1]:.3g}."


def right_time(runs: Sequence[Trained]) -> str:
    """See a run whose rate was lowered on its way end below both constant ones."""
    large, small, adjusted = runs
    lowest = min(large.train[-1], small.train[-1])
    require(adjusted.train[-1] < lowest, f"The constant rates end at {lowest:.3g}, and {adjusted.label} no lower.")
    require(adjusted.train[11] == large.train[11], f"{adjusted.label} does not begin as {large.label}.")
    ends = f"{large.train[-1]:.3g} and {small.train[-1]:.3g}"
    return f"The constant rates end at {ends}; {adjusted.label} ends at {adjusted.train[-1]:.3g}."


def epochs(runs: Sequence[Trained]) -> str:
    """See the validation loss fall, and rise again."""
    [run] = runs
    best = min(range(len(run.val)), key=run.val.__getitem__)
    require(0 < best < len(run.val) / 2, f"The validation loss is best in epoch {best + 1}.")
    require(run.val[-1] > 1.1 * run.val[best], "The validation loss does not rise again.")
    require("overfitting" in run.names, f"It is not called overfitting, but {', '.join(run.names)}.")
    fell = f"falls from {run.val[0]:.3g} to {run.val[best]:.3g} in epoch {best + 1}"
    return (
        f"The validation loss {fell}, and rises to {run.val[-1]:.3g}; the training loss falls to {run.train[-1]:.3g}."
    )


def batch_size(runs: Sequence[Trained]) -> str:
    """See fewer steps, less time and more memory with larger batches, and less learned in as many epochs."""
    small, _, large = runs
    require(small.steps > 8 * large.steps, "The steps are not fewer.")
    require(small.seconds > large.seconds, "The steps cost no less time.")
    require(small.train[-1] < large.train[-1], "As much is learned in as many epochs.")
    costs = [f"{run.steps} steps, {run.seconds:.1f} s, {_held(run):,} numbers held" for run in runs]
    rows = [f"{run.label}: {cost}, loss {run.train[-1]:.3g}" for run, cost in zip(runs, costs, strict=True)]
    return "; ".join(rows) + "."


def _held(run: Trained) -> int:
    """Return how many outputs of layers a step keeps until it has the gradients: of the input and each hidden layer."""
    model = run.values["model"]
    return int(run.values["data"]["batch_size"] * (64 + model["depth"] * model["width"] + 10))


def capacity(runs: Sequence[Trained]) -> str:
    """See the training loss fall with capacity, and the validation loss rise at last."""
    small, middle, large = runs
    require(small.train[-1] > middle.train[-1] > large.train[-1], "More does not fit more.")
    require(large.val[-1] > middle.val[-1], "The most does not overfit more.")
    require("overfitting" in large.names, f"{large.label} is not called overfitting, but {', '.join(large.names)}.")
    parts = [f"{run.label}: training {run.train[-1]:.3g}, validation {run.val[-1]:.3g}" for run in runs]
    return "; ".join(parts) + "."


def narrower_gap(runs: Sequence[Trained]) -> str:
    """See the gap between training and validation become narrower."""
    plain, held = runs
    require(held.gap < 0.8 * plain.gap, f"The gap is {plain.gap:.3g}, and then {held.gap:.3g}.")
    gaps = f"{plain.gap:.3g} with {plain.label}, {held.gap:.3g} with {held.label}"
    return f"The gap between validation and training is {gaps}."


def weight_decay(runs: Sequence[Trained]) -> str:
    """See smaller weights, and a narrower gap."""
    plain, held = (run.last("opt/weight_norm") for run in runs)
    require(held < 0.8 * plain, f"The weights have a norm of {plain:.3g}, and then {held:.3g}.")
    return f"{narrower_gap(runs)} The weights have a norm of {plain:.3g}, and {held:.3g}."


def loss(runs: Sequence[Trained]) -> str:
    """See each loss be best at what it asks for."""
    squared, absolute = runs
    scores = [(run.last("val/rmse"), run.last("val/mae")) for run in runs]
    require(scores[0] != scores[1], "Both losses lead to the same.")
    first, second = (f"RMSE {rmse:.4g}, MAE {mae:.4g}" for rmse, mae in scores)
    require(abs(scores[0][1] - scores[1][1]) > 1e-3 * scores[0][1], "The errors do not differ.")
    return f"{squared.label}: {first}; {absolute.label}: {second}."


def optimizer(runs: Sequence[Trained]) -> str:
    """See one optimizer come further with the same rate in the same steps."""
    sgd, adam = runs
    require(adam.train[-1] != sgd.train[-1], "Both come equally far.")
    ahead, behind = sorted(runs, key=lambda run: run.train[-1])
    require(behind.train[-1] > 1.5 * ahead.train[-1], "They come equally far.")
    ends = f"{ahead.label} is at {ahead.train[-1]:.3g}, {behind.label} at {behind.train[-1]:.3g}"
    return f"After {sgd.steps} steps of the same learning rate {ends}."


def weights(runs: Sequence[Trained]) -> str:
    """See the weights move and the settings stay."""
    [run] = runs
    norms = [row["opt/weight_norm"] for row in run.rows if row.get("opt/weight_norm") is not None]
    rates = {row["lr"] for row in run.rows if row.get("lr") is not None}
    require(len({*norms}) == len(norms) > 1, "The weights do not move.")
    require(rates == {run.values["optimizer"]["lr"]}, "The learning rate does not stay.")
    moved = " -> ".join(f"{norm:.3f}" for norm in norms)
    return f"The norm of all W and b: {moved}. The learning rate is {rates.pop():g} from the first step to the last."


def language_model(runs: Sequence[Trained]) -> str:
    """See the three rates do to a transformer what they do to other networks."""
    small, good, large = runs
    require(good.best < small.best and good.best < large.best, "The middle rate is not the best.")
    require(bool(small.names & SLOW), f"{small.label} is not slow: {', '.join(small.names)}.")
    require(bool(large.names & {*EXPLODED, "never_learned"}), f"{large.label} learns: {', '.join(large.names)}.")
    return "; ".join(f"{run.label}: {run.best:.3g} nats a byte" for run in runs) + "."


LESSONS = {
    "weights": Lesson("W and b are learned, while the hyperparameters stay as they were set.", weights),
    "rate_too_large": Lesson(
        "A learning rate that is too large makes the loss swing, and a still larger one makes it explode.",
        rate_too_large,
    ),
    "rate_too_small": Lesson("A learning rate that is too small learns the same, only slowly.", rate_too_small),
    "rate_decay": Lesson("A learning rate that falls gets lower than either constant one.", rate_decay),
    "right_time": Lesson(
        "Adjusting at the right time beats both constants.", right_time, branch=(12, "optimizer.lr=0.00003")
    ),
    "epochs": Lesson(
        "More epochs help at first, and then the network learns its training data by heart.", epochs, "val"
    ),
    "batch_size": Lesson(
        "A larger batch takes fewer and cheaper steps an epoch, learns less in each epoch, and holds more in memory.",
        batch_size,
    ),
    "width": Lesson("More neurons fit more, and then overfit more.", capacity, "val"),
    "depth": Lesson("More layers fit more, and then overfit more.", capacity, "val"),
    "dropout": Lesson("Dropout narrows the gap between training and validation.", narrower_gap, "val"),
    "weight_decay": Lesson("Weight decay keeps the weights small, and narrows the gap.", weight_decay, "val"),
    "label_smoothing": Lesson(
        "Label smoothing keeps a network from being too sure, and narrows the gap.", narrower_gap, "val"
    ),
    "loss": Lesson("The loss function decides what is good: another one leads elsewhere.", loss),
    "optimizer": Lesson("The optimizer decides how far steps of the same learning rate lead.", optimizer),
    "language_model": Lesson("The same key means the same in a language model.", language_model),
}
