"""What `bench.diagnosis` trains: healthy runs of several worlds, and the same with one thing made wrong on purpose."""

from collections.abc import Iterator
from dataclasses import dataclass

Keys = dict[str, object]

DEEP: Keys = {"model": "bench.world.Deep"}
CONSTANT: Keys = {"scheduler": "constant"}


def _data(name: str, batch_size: int = 64) -> Keys:
    return {"data": f"bench.world.{name}", "data.batch_size": batch_size}


def _of_files(name: str) -> Keys:
    return {"data": f"bench.own_world.{name}", "data.batch_size": 64}


def _mlp(width: int, depth: int) -> Keys:
    return {"model": "mlp", "model.width": width, "model.depth": depth}


def _trained(lr: float, epochs: int) -> Keys:
    return {"optimizer.lr": lr, "scheduler": "one_cycle", "trainer.max_epochs": epochs}


MSE: Keys = {"loss": "mse"}

# A world is data, a network and settings that suit them: chosen by looking at curves of seeds that are not used here.
WORLDS: dict[str, Keys] = {
    "digits": _data("Digits") | _mlp(64, 2) | _trained(0.005, 12),
    "images": _data("Digits") | {"model": "cnn", "model.width": 8, "model.depth": 2} | _trained(0.01, 8),
    "wine": _data("Wine", 16) | _mlp(16, 1) | _trained(0.005, 15),
    "moons": _data("Moons") | _mlp(16, 2) | _trained(0.01, 15),
    "clusters": _data("Clusters") | _mlp(32, 1) | _trained(0.005, 15),
    "diabetes": _data("Diabetes", 32) | _mlp(16, 1) | _trained(0.003, 15) | MSE,
    "friedman": _data("Friedman") | _mlp(32, 2) | _trained(0.005, 25) | MSE,
    "cancer": _data("BreastCancer", 32) | _mlp(16, 1) | _trained(0.005, 12),
    "rings": _data("Rings") | _mlp(32, 2) | _trained(0.01, 25),
    "rows": _of_files("Customers") | {"model": "tabular", "model.width": 32} | _trained(0.003, 10),
    "pictures": _of_files("Pictures") | {"model": "resnet", "model.width": 8, "model.blocks": 1} | _trained(0.01, 8),
    "reviews": _of_files("Reviews")
    | {"model": "text_cnn", "model.width": 32, "model.embedding": 16}
    | _trained(0.003, 10),
}
TEXT: Keys = {
    "data": "python_text", "model": "transformer", "model.width": 32, "model.depth": 1, "data.context": 32,
    "trainer.limit_train_batches": 150, "trainer.limit_val_batches": 30,
} | _trained(0.003, 4)  # fmt: skip
SET_ASIDE = "rings"  # not looked at while rules were set
FILES = ("rows", "pictures", "reviews")  # nor were these

# Other ways to train a world well.
HEALTHY: dict[str, Keys] = {
    "adam": {},
    "adamw": {"optimizer": "adamw"},
    "cosine": {"scheduler": "cosine"},
    "sgd": {"optimizer": "sgd", "optimizer.lr": 0.01},
    "rmsprop": {"optimizer": "rmsprop"},
}
# How many epochs each takes at a constant rate, which comes to no rest by itself.
STEADY_EPOCHS = {"digits": 12, "images": 16, "wine": 24, "moons": 24, "clusters": 24, "diabetes": 20, "friedman": 30,
                 "cancer": 18, "rings": 24, "rows": 10, "pictures": 12, "reviews": 12}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """Runs that differ in their seeds alone.

    Args:
        kind: What is wrong with them, `healthy` where nothing is.
        name: Of the cell.
        world: Their world.
        keys: What they are trained with.
        twin: The same without what is wrong.
    """

    kind: str
    name: str
    world: str
    keys: tuple[tuple[str, object], ...]
    twin: tuple[tuple[str, object], ...]


def cells() -> Iterator[Cell]:
    """Yield all of them."""
    for world, keys in WORLDS.items():
        for name, change in HEALTHY.items():
            merged = changed(keys, change)
            yield Cell("healthy", f"{world}-{name}", world, merged, merged)
        steady = changed(keys, {"scheduler": "constant", "trainer.max_epochs": STEADY_EPOCHS[world]})
        yield Cell("healthy", f"{world}-constant", world, steady, steady)
    for kind, variants in PLANTS.items():
        for number, (change, worlds) in enumerate(variants):
            for world in worlds.split():
                plain = WORLDS[world]
                name = f"{world}-{kind}-{number}"
                yield Cell(kind, name, world, changed(plain, change), tuple(plain.items()))


def changed(keys: Keys, change: Keys) -> tuple[tuple[str, object], ...]:
    """Return settings with some of them changed; what another network or schedule does not take is left out."""
    gone = {group for group in ("model", "scheduler") if group in change}
    kept = {key: value for key, value in keys.items() if key.partition(".")[0] not in gone or "." not in key}
    return tuple((kept | change).items())


SMALL: Keys = {"data.batch_size": 4, "trainer.limit_train_batches": 60, "trainer.max_epochs": 25}
ALL = "digits wine moons clusters diabetes friedman cancer rings"
LARGE = "digits moons clusters diabetes friedman cancer rings"  # the others are learned by heart in a few steps
CLASSES = "digits wine moons clusters cancer rings"
REGRESSIONS = "diabetes friedman"
OF_FILES = " ".join(FILES)

# For each kind what is changed, and in which worlds.
PLANTS: dict[str, list[tuple[Keys, str]]] = {
    "not_finite": [
        ({**CONSTANT, "optimizer": "sgd", "optimizer.lr": 1e25}, CLASSES + " images"),
        ({**CONSTANT, "optimizer": "sgd", "optimizer.lr": 1e3}, REGRESSIONS),
        ({**CONSTANT, "optimizer": "sgd", "optimizer.lr": 1e25}, OF_FILES),
    ],
    "diverged": [
        ({**CONSTANT, "optimizer.lr": 10.0}, ALL),
        ({**CONSTANT, "optimizer": "sgd", "optimizer.lr": 20.0}, CLASSES),
        ({**CONSTANT, "optimizer.lr": 10.0}, OF_FILES),
    ],
    "oscillating": [
        ({**CONSTANT, "optimizer.lr": 0.3, "trainer.max_epochs": 25}, LARGE),
        ({**CONSTANT, "optimizer.lr": 0.1, "trainer.max_epochs": 25}, "digits clusters friedman moons rings"),
        ({**CONSTANT, "optimizer": "rmsprop", "optimizer.lr": 0.1, "trainer.max_epochs": 25}, LARGE),
        ({**CONSTANT, "optimizer.lr": 0.3, "trainer.max_epochs": 15}, OF_FILES),
    ],
    "never_learned": [
        ({"data.labels": "shuffled"}, ALL + " images " + OF_FILES),
        ({**CONSTANT, "optimizer.lr": 1e-8}, ALL),
    ],
    "too_slow": [
        ({**CONSTANT, "optimizer.lr": 3e-5}, ALL),
        ({**CONSTANT, "optimizer": "sgd", "optimizer.lr": 2e-4}, ALL),
        ({**CONSTANT, "optimizer.lr": 1e-5}, OF_FILES),
    ],
    "still_improving": [
        ({**CONSTANT, "optimizer.lr": 0.001, "trainer.max_epochs": 5}, "digits wine moons cancer rings"),
        ({**CONSTANT, "optimizer.lr": 0.001, "trainer.max_epochs": 6}, "clusters diabetes friedman"),
    ],
    "saturated": [
        ({**CONSTANT, "model": "linear", "trainer.max_epochs": 100}, "clusters diabetes friedman moons"),
        ({"model": "linear", "trainer.max_epochs": 60, "scheduler": "step"}, "digits cancer wine clusters"),
    ],
    "overfitting": [
        ({**CONSTANT, "model": "mlp", "model.width": 256, "model.depth": 2, "data.samples": 150,
          "trainer.max_epochs": 60}, "moons clusters diabetes friedman rings"),
        ({**CONSTANT, "model": "mlp", "model.width": 128, "model.depth": 2, "trainer.max_epochs": 60},
         "moons clusters diabetes cancer"),
        ({**CONSTANT, "data.samples": 150, "trainer.max_epochs": 60}, "rows reviews"),
    ],
    "underfitting": [
        ({"model": "mlp", "model.width": 1, "model.depth": 1, "trainer.max_epochs": 40},
         "digits clusters friedman moons rings"),
        ({"model": "mlp", "model.width": 2, "model.depth": 1, "trainer.max_epochs": 40}, "digits clusters"),
        ({"model.dropout": 0.9, "trainer.max_epochs": 25}, "digits clusters cancer friedman"),
    ],
    "noisy_end": [
        ({**CONSTANT, **SMALL, "optimizer": "sgd", "optimizer.lr": 0.02}, LARGE),
        ({**CONSTANT, **SMALL, "optimizer.lr": 0.01}, LARGE),
    ],
    "rising_train_loss": [
        ({"scheduler": "exponential", "scheduler.gamma": 1.35, "optimizer.lr": 0.001, "trainer.max_epochs": 24}, ALL),
    ],
    "periodic": [({"data.order": "sorted"}, ALL + " images " + OF_FILES)],
    "vanishing_gradients": [
        ({**DEEP, "model.depth": 8, "model.activation": "sigmoid", "model.scale": 0.5}, ALL),
        ({**DEEP, "model.depth": 10, "model.activation": "relu", "model.scale": 0.1}, ALL),
    ],
    "exploding_gradients": [
        ({**DEEP, "model.depth": 8, "model.scale": 3.0}, ALL),
        ({**DEEP, "model.depth": 6, "model.scale": 5.0, "optimizer": "adamw"}, ALL),
    ],
    "dead_units": [
        ({**DEEP, "model.bias": -4.0}, ALL),
        ({**DEEP, "model.bias": -3.0, "model.depth": 3}, ALL),
    ],
    "over_clipped": [
        ({"optimizer": "sgd", "optimizer.lr": 0.02, "trainer.gradient_clip_val": 0.001},
         ALL + " images " + OF_FILES),
    ],
    "lr_at_stability_edge": [
        ({**CONSTANT, "optimizer": "sgd", "optimizer.lr": 1.0}, "digits clusters moons wine cancer rings"),
        ({**CONSTANT, "optimizer": "sgd", "optimizer.lr": 0.1}, "friedman diabetes"),
    ],
    "leak": [
        ({"data.copies": 12, "model": "mlp", "model.width": 64, "model.depth": 2},
         "digits clusters diabetes friedman cancer rings"),
    ],
}  # fmt: skip
