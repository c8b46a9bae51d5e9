"""Rules for what a sweep varies. Most are of the tuning playbook (Godbole et al. 2023), named where they stand."""

from gridstorm.lint.advice import USUAL, Advice, Draft

RATES = ("optimizer.lr", "model.lr", "model.learning_rate")
DECADE = 10.0  # "search at least an order of magnitude", the playbook's advice on the edges of a search space
MANY_AXES, MANY_POINTS = 3, 30  # of a grid, from which random points find more (Bergstra & Bengio 2012)


def batch_size_without_rate(draft: Draft) -> Advice | None:
    """Advise to tune the learning rate anew for each batch size (the playbook, "Choosing the batch size")."""
    if not draft.span("data.batch_size") or any(draft.span(key) for key in RATES):
        return None
    fact = "data.batch_size varies and the learning rate does not: the best one is another for each batch size,"
    steps = "and at fixed epochs a larger batch has fewer steps."
    return Advice("batch_size_without_rate", f"{fact} {steps}", "Add optimizer.lr=1e-3,3e-3,1e-2.")


def loss_chosen_by_itself(draft: Draft) -> Advice | None:
    """Advise a score that means the same in each trial."""
    varied = next((span.key for span in draft.spans if span.key.split(".")[0] == "loss"), None)
    monitor = str(draft.at("monitor"))
    if varied is None or not monitor.endswith("loss"):
        return None
    fact = f"{varied} varies, and monitor={monitor} chooses by that loss: its values do not compare."
    return Advice("loss_chosen_by_itself", fact, "Choose by a metric, such as val/accuracy or val/rmse.")


def narrow_rate(draft: Draft) -> Advice | None:
    """Advise a wide range of learning rates."""
    for key in RATES:
        span = draft.span(key)
        if span and len(span.numbers) > 1 and span.ratio < DECADE * 0.999:
            low, high = min(span.numbers), max(span.numbers)
            fact = f"{key} spans {low:g} to {high:g}, less than a decade: the best one may lie outside."
            middle = min((low * high) ** 0.5, USUAL.get(draft.target("optimizer"), high) * 10)
            listed = ",".join(f"{float(f'{middle * factor:.1g}'):g}" for factor in (0.1, 0.3, 1, 3, 10))
            return Advice("narrow_rate", fact, f"Try {key}={listed}.")
    return None


def linear_rate(draft: Draft) -> Advice | None:
    """Advise to draw a learning rate by its logarithm (the playbook, "Exploration")."""
    for key in RATES:
        span = draft.span(key)
        if span and span.is_interval and not span.is_log and span.ratio >= DECADE:
            low, high = min(span.values), max(span.values)
            fact = f"{key} is drawn evenly from {low:g} to {high:g}: nine of ten draws are in the last decade."
            return Advice("linear_rate", fact, f"Try '{key}=tag(log, interval({low:g}, {high:g}))'.")
    return None


def seed_as_hyperparameter(draft: Draft) -> Advice | None:
    """Advise repeats instead of a search for a lucky seed."""
    span = draft.span("seed")
    if span is None or not draft.is_searched:
        return None
    fact = "The sampler searches the seed, as if the best one would be the best again."
    return Advice("seed_as_hyperparameter", fact, "Take seed out, and add sweep.repeats=3.")


def epochs_as_hyperparameter(draft: Draft) -> Advice | None:
    """Advise to read the number of epochs off one curve (the playbook, "Choosing the number of steps")."""
    if not draft.span("trainer.max_epochs") or draft.target("scheduler") not in ("ConstantLR", "ReduceLROnPlateau"):
        return None
    fact = "trainer.max_epochs varies, and with a constant learning rate the longest run passes through all the others."
    return Advice("epochs_as_hyperparameter", fact, "Train once for the most epochs: the curve and best.ckpt say when.")


def large_grid(draft: Draft) -> Advice | None:
    """Advise random points where a grid has many axes."""
    numeric = [span for span in draft.spans if len(span.numbers) > 1]
    points = 1
    for span in draft.spans:
        points *= max(1, len(span.values))
    if draft.is_searched or len(numeric) < MANY_AXES or points <= MANY_POINTS:
        return None
    fact = f"A grid of {points} points tries few values of each of {len(numeric)} keys."
    return Advice("large_grid", fact, f"Try intervals with sampler=sobol sweep.n_trials={min(points, 40)}.")


RULES = (
    batch_size_without_rate,
    loss_chosen_by_itself,
    narrow_rate,
    linear_rate,
    seed_as_hyperparameter,
    epochs_as_hyperparameter,
    large_grid,
)
