"""Imports what trains, for the server that workers are forked from.

The garbage collector rests meanwhile, which saves a fifth of the time, and leaves alone for good what is there then:
to look through all of torch costs a worker a quarter of a second, at every third short run.
"""

import gc

gc.disable()

import tensorboard.plugins.custom_scalar.layout_pb2
import tensorboard.plugins.hparams.api_pb2
import tensorboard.plugins.hparams.plugin_data_pb2

import gridstorm.run  # isort: skip  # first: it imports Lightning in less time
import gridstorm.fusion
import gridstorm.sweeper.job  # what workers are sent is found there
from gridstorm.record import EventFile  # which loads TensorBoard's messages

gc.freeze()
gc.enable()
