"""Lightning's loggers beside the record: each is given the run's name, its folder and its hyperparameters."""

import fcntl
import hashlib
import inspect
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger

from gridstorm.config import MANIFEST, RunConfig, leaves
from gridstorm.error import UserError, refused
from gridstorm.record import LOGGERS, RunRecord
from gridstorm.target import build

HIDDEN = ("_object_", "_target_", "_partial_")  # keys that are no hyperparameters


def loggers_for(config: RunConfig, record: RunRecord) -> list[Logger]:
    """Return the loggers of a configuration, made for a run; what its section gives stands.

    Raises:
        UserError: One cannot be made.
    """
    nodes = config.values.get("logger") or {}
    with _one_at_a_time(record.directory.parent) if nodes else nullcontext():
        return [_logger(name, node, record) for name, node in nodes.items()]


def _logger(name: str, node: Mapping[str, Any], record: RunRecord) -> Logger:
    try:
        logger: Logger = build(node, **_offered(name, node, record))
        if number := getattr(logger, "run_id", None):  # MLflow's, which its server gives
            _remember(record, name, number)
    except UserError as refusal:
        raise UserError([replace(wrong, key=f"logger.{name}") for wrong in refusal.problems]) from refusal
    except Exception as error:
        raise refused(f"logger.{name}", error) from error
    return logger


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process at a time begin a run there: several cannot make MLflow's database at once."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _offered(name: str, node: Mapping[str, Any], record: RunRecord) -> dict[str, Any]:
    """Return what a logger takes of what the run knows, and its section leaves open."""
    home = record.directory.resolve()
    sweep = home.parent.name if (home.parent / MANIFEST).is_file() else None
    takes = inspect.signature(resolve_name(node["_target_"])).parameters
    has_runs = "id" in takes or "run_id" in takes  # those of others keep files, and their name is a folder's
    offers = {
        "save_dir": str(home),
        "name": home.name if has_runs else name,
        "version": None if has_runs else "",
        "run_name": home.name,
        "experiment_name": sweep or "gridstorm",
        "tracking_uri": f"sqlite:///{(home.parent.parent if sweep else home.parent) / 'mlflow.db'}",
        "id": hashlib.sha256(f"{home} {record.origin['signature']}".encode()).hexdigest()[:16],
        "run_id": _remembered(record).get(name),
        "group": sweep,  # W&B takes it among other names
    }
    names = [key for key in offers if key in takes or (key == "group" and "project" in takes)]
    return {key: offers[key] for key in names if node.get(key) is None and offers[key] is not None}


def introduce(config: RunConfig, record: RunRecord, loggers: list[Logger]) -> None:
    """Give loggers the hyperparameters, and one that begins its file anew the points of a run that goes on."""
    told = {
        re.sub(r"[^\w./ -]", "_", key): value  # what MLflow allows
        for section, node in config.recipe.items()
        for key, value in leaves(node, section)
        if key.rpartition(".")[2] not in HIDDEN
    }
    chosen = {group: choice for group, choice in config.choices.items() if group in config.recipe}
    for logger in loggers:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Experiment logs directory")  # its numbers are written again here
            logger.log_hyperparams({**chosen, **told})
            for row in record.rows() if isinstance(logger, CSVLogger) else ():
                logger.log_metrics({key: value for key, value in row.items() if value is not None}, int(row["step"]))


def finish(loggers: list[Logger], step: int, tested: Mapping[str, float]) -> None:
    """Give loggers the test metrics, and close them."""
    for logger in loggers:
        if tested:
            logger.log_metrics(dict(tested), step)
        logger.finalize("success")
    close(loggers)


def close(loggers: list[Logger]) -> None:
    """End what is open: W&B would take the next run of this process for the same one."""
    for logger in loggers:
        if callable(end := getattr(getattr(logger, "experiment", None), "finish", None)):
            end()


def _remembered(record: RunRecord) -> dict[str, str]:
    file = record.directory / LOGGERS
    content: dict[str, str] = json.loads(file.read_text()) if file.is_file() else {}
    return content


def _remember(record: RunRecord, name: str, number: Any) -> None:
    record.write(LOGGERS, json.dumps({**_remembered(record), name: str(number)}))
