"""Train one run, or with -m every combination: python train.py model=cnn optimizer.lr=0.01."""

import hydra

from gridstorm.command import door
from gridstorm.config import RunConfig


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: RunConfig) -> None:
    """Load what trains, only now that the configuration was checked."""
    from gridstorm.run import run

    run(config)


if __name__ == "__main__":
    door(main)
