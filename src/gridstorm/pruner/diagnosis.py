"""Stopping what is beyond help, by what its curves say."""

from dataclasses import dataclass, field


@dataclass
class Diagnosis:
    """Stops a run that is beyond help, as its curves say, while another one is better.

    A learning rate that is only bad is left alone: no run is compared by its score with others of its age, as other
    pruners do, which stop slow starters.

    Args:
        warmup: Epochs that every run has.
        patience: Epochs in a row after which the curves have to say so. One is enough beside a better run: of 22 sweeps
            none lost its best one (`bench.pruner`), and two cost a tenth of all time.
        findings: What counts as beyond help, by the names of `gridstorm diagnose`, whatever else explains it.
    """

    warmup: int = 3
    patience: int = 1
    findings: list[str] = field(default_factory=lambda: ["not_finite", "diverged", "never_learned"])

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: One is too small, or nothing would be stopped.
        """
        if self.warmup < 1 or self.patience < 1 or not self.findings:
            raise ValueError(
                f"pruner.warmup={self.warmup}, pruner.patience={self.patience} and pruner.findings={self.findings} "
                "stop nothing. Give at least 1 epoch of each, and a finding."
            )

    def epochs(self, trained: int) -> list[int]:
        """Return the epochs after which the curves are asked, once a run has trained so many; none before its time."""
        return [*range(trained - self.patience + 1, trained + 1)] if trained >= self.warmup + self.patience - 1 else []
