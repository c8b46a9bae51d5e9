"""Train one run, or with -m every combination: python train.py model=cnn optimizer.lr=0.01."""

from gridstorm import main

if __name__ == "__main__":
    main()
