"""One bar for the whole run: the loss, the score and the time that is left."""

import math
import sys
import time
from importlib.util import find_spec
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar as LightningProgressBar
from tqdm import tqdm


class ProgressBar(LightningProgressBar):
    """Shows all epochs as one bar with the time that is left; silent where there is no terminal and no notebook."""

    def __init__(self, score: str = "val/loss", refresh_seconds: float = 0.1) -> None:
        """Take the metric to show beside the training loss, and the seconds between two drawings."""
        super().__init__()
        self.score, self.refresh_seconds = score, refresh_seconds
        self.bar: Any = None
        self._drawn, self._step, self._hidden = 0.0, 0, False

    def disable(self) -> None:
        """Hide the bar: Lightning asks so of every process but the first."""
        self._hidden = True

    def enable(self) -> None:
        """Show the bar again."""
        self._hidden = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the bar, from where a resumed run goes on."""
        batches, epochs = trainer.num_training_batches, trainer.max_epochs or 0
        total = int(batches * epochs) if epochs > 0 and math.isfinite(batches) else None  # a bar without an end
        hidden = self._hidden or not (sys.stderr.isatty() or in_notebook())
        self._step = trainer.current_epoch * int(batches) if math.isfinite(batches) else trainer.global_step
        self.bar = bar_class()(
            total=total, initial=self._step, unit="batch", disable=hidden, dynamic_ncols=True, leave=False
        )

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Move the bar on, at most every `refresh_seconds`."""
        self._step += 1
        if not self.bar.disable and time.monotonic() - self._drawn > self.refresh_seconds:
            self._draw(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the numbers of the epoch that ended."""
        if not self.bar.disable:
            self._draw(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bar away: the result follows."""
        self.bar.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Take the bar away, so that what is said next stands on a line of its own."""
        if self.bar is not None:
            self.bar.close()

    def _draw(self, trainer: pl.Trainer) -> None:
        metrics = trainer.callback_metrics
        shown = {name: f"{metrics[name]:.4g}" for name in ("train/loss", self.score) if name in metrics}
        self.bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", refresh=False)
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update(self._step - self.bar.n)
        self._drawn = time.monotonic()


def in_notebook() -> bool:
    """Tell whether a kernel of Jupyter is at work here, which shows what is printed below its cell."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in shell.config


def bar_class() -> Any:
    """Return tqdm's bar: the widget in a notebook that has widgets."""
    if in_notebook() and find_spec("ipywidgets"):
        from tqdm.notebook import tqdm as widget

        return widget
    return tqdm
