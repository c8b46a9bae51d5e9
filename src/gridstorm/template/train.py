"""Train one run, or with -m every combination: python train.py model.width=64."""

from gridstorm import main

if __name__ == "__main__":
    main()
