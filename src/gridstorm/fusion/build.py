"""The modules and the data of the runs of a group."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from gridstorm.config import RunConfig
from gridstorm.data import InMemory
from gridstorm.module import Module
from gridstorm.objects import module_for, network_for, prepared


def build_all(configs: Sequence[RunConfig]) -> Iterator[tuple[Module, Any]]:
    """Yield each run's module and its data, which runs share that would read the same."""
    shared: dict[str, Any] = {}
    for config in configs:
        section = config.values["data"]
        same, alike = str(section), str({**section, "seed": None})
        torch.manual_seed(config.values["seed"])
        if same not in shared and alike in shared:
            shared[same] = copy.copy(shared[alike])
            shared[same].seed = section["seed"]  # of the order of the training batches, and of nothing else
        data = shared.get(same)
        if data is None:
            before = torch.get_rng_state()
            data = prepared(config)
            if torch.equal(before, torch.get_rng_state()):  # else it draws what the network's weights follow on
                shared[same] = data
                shared |= {alike: data} if isinstance(data, InMemory) else {}
        module = module_for(config, network_for(config, data), data)
        assert isinstance(module, Module), "a LightningModule trains alone"
        yield module, data
