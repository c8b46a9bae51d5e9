"""A trained model in use: predictions for new samples, how good they are, baselines, and export."""

import gridstorm.module  # isort: skip  # first: it imports Lightning in less time
from gridstorm.prediction.baseline import baseline
from gridstorm.prediction.evaluate import evaluate
from gridstorm.prediction.export import export
from gridstorm.prediction.generate import generate
from gridstorm.prediction.model import able_to_predict
from gridstorm.prediction.predict import predict

__all__ = ["able_to_predict", "baseline", "evaluate", "export", "generate", "predict"]
