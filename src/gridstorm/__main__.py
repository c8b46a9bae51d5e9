"""`python -m gridstorm` is `gridstorm`."""

import sys

from gridstorm.cli import gridstorm

if __name__ == "__main__":
    sys.exit(gridstorm())
