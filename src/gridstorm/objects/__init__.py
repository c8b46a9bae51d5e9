"""The objects that a configuration names: data, network, module, Trainer, loggers; built, and tried with a batch."""

import gridstorm.module  # isort: skip  # first: it imports Lightning in less time
from gridstorm.objects.build import made_by, module_for, network_for, profile_in, sketched, trained, trainer_for
from gridstorm.objects.checkpoint import ends_an_epoch, is_plain, last_state, loaded
from gridstorm.objects.data import batch_names, fingerprint, first_of, prepared, told_of_targets, unread
from gridstorm.objects.fitted import encoding, keep, restored
from gridstorm.objects.logger import HIDDEN, close, finish, introduce, loggers_for
from gridstorm.objects.rehearsal import rehearse
from gridstorm.objects.shape import num_batches, refuse_a_single_sample, try_one_batch
from gridstorm.objects.warning import quiet, tried, warned
from gridstorm.objects.weights import digest_of_weights, match, num_parameters

__all__ = [
    "HIDDEN",
    "batch_names",
    "close",
    "digest_of_weights",
    "encoding",
    "ends_an_epoch",
    "fingerprint",
    "finish",
    "first_of",
    "introduce",
    "is_plain",
    "keep",
    "last_state",
    "loaded",
    "loggers_for",
    "made_by",
    "match",
    "module_for",
    "network_for",
    "num_batches",
    "num_parameters",
    "prepared",
    "profile_in",
    "quiet",
    "refuse_a_single_sample",
    "rehearse",
    "restored",
    "sketched",
    "told_of_targets",
    "trained",
    "trainer_for",
    "tried",
    "try_one_batch",
    "unread",
    "warned",
]
