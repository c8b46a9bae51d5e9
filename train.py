"""Train one run, or with -m every combination: python train.py model=cnn optimizer.lr=0.01."""

import hydra

from gridstorm.command import door
from gridstorm.config import RunConfig


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: RunConfig) -> int:
    """Load what trains, only now that the configuration was checked, and return the exit status."""
    from gridstorm.run import run

    result = run(config)
    return int(result is not None and result.status.is_bad)


if __name__ == "__main__":
    door(main)
