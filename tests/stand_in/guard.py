"""A process that ends at the first import of something heavy."""

HEAVY = ("torch", "pytorch_lightning", "lightning_fabric", "torchmetrics", "sklearn", "scipy", "optuna", "tensorboard")
# Python imports a sitecustomize by itself at each start: here one that ends the process at the first heavy import.
GUARD = f"""
import os, sys
from importlib.abc import Loader
from importlib.machinery import PathFinder

class Guard(Loader):
    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path) if name.partition(".")[0] in {HEAVY} else None
        if spec:
            spec.loader = self
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        print("imported", module.__name__, file=sys.stderr)
        sys.stderr.flush()
        os._exit(99)

sys.meta_path.insert(0, Guard())
"""
