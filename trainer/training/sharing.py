"""Samples that one process prepared, in the other processes: arrays by value, cached images by the path of their file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from trainer.training.processes import ProcessGroup

__all__ = ["prepare_in_first"]

Samples = TypeVar("Samples")


@dataclass(frozen=True)
class _MappedFile:
    """A memory-mapped array that another process opens by itself."""

    path: Path


def prepare_in_first(process_group: ProcessGroup, prepare: Callable[[], Sequence[Samples]]) -> list[Samples]:
    """Call `prepare` in the first process, and return its samples in all processes.

    So all processes have the same labels, even if a rater saves a reading in the meantime, and only one of them opens the
    study.

    Parameters
    ----------
    process_group
        The processes. All must see the folder of the cached images.
    prepare
        Function that returns `PairSamples` or `HandSamples` as they were loaded.

    Raises
    ------
    TrainError
        In the first process, if `prepare` raises it. The others end.
    """
    if process_group.count == 1:
        return list(prepare())
    ready: list[Samples] = []

    def prepare_and_detach() -> list[Any]:
        ready.extend(prepare())
        return [_detach(each) for each in ready]

    detached = process_group.from_first(prepare_and_detach)
    return ready if process_group.is_first else [_attach(each) for each in detached]


def _detach(samples: Any) -> Any:
    """Return `samples` with the paths of memory-mapped arrays in place of the arrays."""
    arrays = {each.name: getattr(samples, each.name) for each in fields(samples)}
    return replace(
        samples,
        **{
            name: _MappedFile(Path(array.filename))
            for name, array in arrays.items()
            if isinstance(array, np.memmap) and array.filename
        },
    )


def _attach(samples: Any) -> Any:
    values = {each.name: getattr(samples, each.name) for each in fields(samples)}
    opened = {
        name: np.lib.format.open_memmap(value.path, "r")
        for name, value in values.items()
        if isinstance(value, _MappedFile)
    }
    return replace(samples, **opened)
