"""Rules for the settings of one run."""

from gridstorm.lint.advice import USUAL, Advice, Draft

EIGHT = 8  # numbers that a GPU's matrix units take at once (NVIDIA, Deep Learning Performance Guide: multiples of 8)
WARM_UP = 0.1  # share of the steps: the tuning playbook has 1 to 10 % (Godbole et al. 2023)
ADAPTIVE = ("Adam", "NAdam", "RAdam")  # whose weight_decay is an L2 penalty (Loshchilov & Hutter 2019)
FEW = 8  # samples, too few for their mean and variance to stand for all (Wu & He 2018, figure 1)


def batch_of_eights(draft: Draft) -> Advice | None:
    """Advise a batch size that the hardware likes."""
    size, device = draft.at("data.batch_size"), draft.at("trainer.accelerator")
    if type(size) is not int or size < EIGHT or size % EIGHT == 0 or device == "cpu":
        return None
    fact = (
        f"data.batch_size={size} is no multiple of 8, which GPUs compute faster; this is a rule of the hardware only."
    )
    return Advice("batch_of_eights", fact, f"Try data.batch_size={round(size / EIGHT) * EIGHT}.")


def tiny_batch_norm(draft: Draft) -> Advice | None:
    """Advise against means of a few samples."""
    size = draft.at("data.batch_size")
    normalised = draft.at("model.norm") == "batch" or draft.target("model") == "CNN"
    if type(size) is not int or not normalised or size >= FEW:
        return None
    fact = f"Batch normalisation takes the mean of data.batch_size={size} samples, which says little of all of them."
    other = "model.norm=layer" if draft.at("model.norm") == "batch" else "data.batch_size=32"
    return Advice("tiny_batch_norm", fact, f"Try {other}.")


def long_warmup(draft: Draft) -> Advice | None:
    """Advise a shorter warm-up."""
    share = draft.at("scheduler.pct_start") if draft.target("scheduler") != "OneCycleLR" else None
    steps, batches = draft.at("scheduler.warmup_steps"), draft.at("trainer.limit_train_batches")
    epochs, total = draft.at("trainer.max_epochs"), draft.at("scheduler.total_steps")
    if share is None and type(steps) is int and steps > 0:
        if type(total) is not int and type(batches) is int and type(epochs) is int:
            total = batches * epochs
        share = steps / total if type(total) is int and total > 0 else None
    if share is None or share <= WARM_UP:
        return None
    fact = f"The learning rate rises for {100 * share:.0f} % of the steps, and 1 to 10 % are usual."
    return Advice("long_warmup", fact, "Try scheduler.warmup_steps=null, which is a twentieth.")


def schedule_horizon(draft: Draft) -> Advice | None:
    """Advise a schedule that ends when the training does."""
    epochs = draft.at("trainer.max_epochs")
    for key in ("total_steps", "T_max"):
        if draft.at(f"scheduler.{key}") is not None:
            given = f"scheduler.{key}={draft.at(f'scheduler.{key}')}"
            fact = f"{given} counts steps, and may end before the training or after it."
            return Advice("schedule_horizon", fact, f"Take {key} out: the run counts its own steps.")
    falls = draft.at("scheduler.step_size")
    if draft.target("scheduler") == "StepLR" and type(falls) is int and type(epochs) is int and falls >= epochs:
        fact = (
            f"scheduler.step_size={falls} is not reached in trainer.max_epochs={epochs}: the learning rate never falls."
        )
        return Advice("schedule_horizon", fact, f"Try scheduler.step_size={max(1, epochs // 3)}.")
    return None


def decay_under_adam(draft: Draft) -> Advice | None:
    """Advise AdamW where weights are to decay."""
    decay, name = draft.at("optimizer.weight_decay"), draft.target("optimizer")
    if name not in ADAPTIVE or not decay or draft.at("optimizer.decoupled_weight_decay"):
        return None
    fact = f"{name} adds weight_decay={decay:g} to the gradient, where its own scaling undoes most of it."
    return Advice("decay_under_adam", fact, "Try optimizer=adamw, which takes it from the weights.")


def patience_beyond_the_end(draft: Draft) -> Advice | None:
    """Advise a patience that can come to an end."""
    epochs = draft.at("trainer.max_epochs")
    for name, node in (draft.at("callbacks") or {}).items():
        patience = node.get("patience") if isinstance(node, dict) else None
        if type(patience) is int and type(epochs) is int and patience >= epochs:
            fact = f"callbacks.{name}.patience={patience} cannot run out in trainer.max_epochs={epochs}."
            return Advice("patience_beyond_the_end", fact, f"Try callbacks.{name}.patience={max(1, epochs // 5)}.")
    return None


def chosen_by_training(draft: Draft) -> Advice | None:
    """Advise to choose by validation."""
    monitor = str(draft.at("monitor"))
    if not monitor.startswith("train"):
        return None
    fact = f"monitor={monitor} chooses the epoch and the trial that learned its training data by heart."
    return Advice("chosen_by_training", fact, f"Try monitor={monitor.replace('train', 'val', 1)}.")


def large_rate(draft: Draft) -> Advice | None:
    """Advise a learning rate of the usual size."""
    span = draft.span("optimizer.lr")
    lr = min(span.numbers, default=0.0) if span else draft.at("optimizer.lr")
    name = draft.target("optimizer")
    usual = USUAL.get(name)
    if usual is None or not isinstance(lr, int | float) or lr < 100 * usual:
        return None
    fact = f"optimizer.lr={lr:g} is {lr / usual:.0f} times what {name} usually begins with: the loss may diverge."
    return Advice("large_rate", fact, f"Try optimizer.lr={usual:g}.")


RULES = (
    batch_of_eights,
    tiny_batch_norm,
    long_warmup,
    schedule_horizon,
    decay_under_adam,
    patience_beyond_the_end,
    chosen_by_training,
    large_rate,
)
