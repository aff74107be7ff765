"""Reading of files that ``torch.save`` wrote, which may be of others. No code in them is run."""

from __future__ import annotations

import itertools
import math
import pickle
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ratui.errors import clean_text

__all__ = ["DAMAGED", "check_facts", "check_weights", "is_plain_tensor", "read_torch_file"]

DAMAGED = (
    pickle.UnpicklingError,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    UnicodeError,
)
"""Errors that torch raises for damaged files."""
_LARGEST_PICKLE = 32_000_000  # bytes; that of a large network takes less than one million
_DEEPEST = 100  # a lineage has at most fifty generations, each within the one before
_MAX_VALUES = 2_000_000
_LARGEST_INTEGER = 2**63
_TYPES = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)


def read_torch_file(path: Path) -> Any:
    """Return the content of a file that ``torch.save`` wrote: tensors and plain values only.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    Exception
        One of `DAMAGED` if the file can't be read, contains other objects, or a table that takes minutes to read.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:  # a small file can contain a large compressed table
            if any(each.file_size > _LARGEST_PICKLE for each in archive.infolist() if each.filename.endswith(".pkl")):
                raise ValueError("the table of the file is too large")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of formats that it then refuses
        return torch.load(path, map_location="cpu", weights_only=True)


def check_facts(facts: object) -> None:
    """Raise ValueError if a checkpoint's facts are no table of plain values: printable text, finite numbers, lists."""
    if not isinstance(facts, dict):
        raise ValueError("no table")
    waiting: list[tuple[object, int]] = [(facts, 0)]
    for count in itertools.count():
        if not waiting:
            return
        value, depth = waiting.pop()
        if depth > _DEEPEST or count > _MAX_VALUES:  # parts that occur many times count each time
            raise ValueError("too many values")
        waiting += [(each, depth + 1) for each in _check_value(value)]


def is_plain_tensor(value: object) -> bool:
    """Return whether `value` is a dense tensor with its numbers in memory, of a type that a network can have."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and value.dtype in _TYPES
    )


def check_weights(weights: object) -> None:
    """Raise ValueError, with the problem, if `weights` have a tensor that is not plain, or one with NaN or infinity.

    Anything but a table is not looked at.
    """
    if isinstance(weights, Mapping):
        for value in weights.values():
            if isinstance(value, Tensor) and not is_plain_tensor(value):
                raise ValueError("its weights are no plain tensors")
            if isinstance(value, Tensor) and not torch.isfinite(value).all():
                raise ValueError("its weights contain NaN or infinity")


def _check_value(value: object) -> Iterable[object]:
    """Return the parts of a value. Raises ValueError if it is not plain."""
    match value:
        case None | bool():
            pass
        case str():
            if not value.isprintable() and clean_text(value, len(value) + 1) != value:
                raise ValueError("unprintable text")
        case int():
            if abs(value) >= _LARGEST_INTEGER:
                raise ValueError("too large")
        case float():
            if not math.isfinite(value):
                raise ValueError("not finite")
        case list() | tuple():
            return value
        case dict():
            if not all(isinstance(key, str) for key in value):
                raise ValueError("no name")
            return (*value.keys(), *value.values())
        case _:
            raise ValueError("no plain value")
    return ()
