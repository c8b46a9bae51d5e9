"""The command line of a LightningCLI."""

from demo.data import DigitsData
from demo.module import LitDigits
from lightning.pytorch.cli import LightningCLI

if __name__ == "__main__":
    LightningCLI(LitDigits, DigitsData)
