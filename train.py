"""Train one run, or with -m every combination: python train.py model=cnn optimizer.lr=0.01."""

import hydra
from omegaconf import DictConfig

from gridstorm.config import accept, door
from gridstorm.error import plainly


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    """Check the composed configuration, and only then load what trains."""
    with plainly():
        composed = accept(config)
        from gridstorm.run import run

        run(composed)


if __name__ == "__main__":
    door(main)
