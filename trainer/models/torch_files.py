"""Reading of files that ``torch.save`` wrote, which may be of others. No code in them is run."""

from __future__ import annotations

import itertools
import math
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ratui.errors import clean_text

__all__ = ["check_facts", "check_weights", "is_plain_tensor", "read_torch_file"]

_LARGEST_PICKLE = 32_000_000  # bytes; that of a large network takes less than one million
_LARGEST_GROWTH = 2  # torch compresses nothing; a file that gives more times its own size is not of torch
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
    OSError
        If there is no such file, or it can't be opened.
    ValueError
        If the file is damaged, contains other objects, a table that takes minutes to read, or far more than its own size.
    """
    path.open("rb").close()  # torch does not raise OSError for each file that can't be opened
    try:
        if zipfile.is_zipfile(path):
            _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of formats that it then refuses
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise about twenty kinds, such as AssertionError and MemoryError
        raise ValueError("the file can't be read") from error


def _check_archive(path: Path) -> None:
    """Raise ValueError if a zip file contains much more than its size suggests."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if any(each.file_size > _LARGEST_PICKLE for each in entries if each.filename.endswith(".pkl")):
        raise ValueError("the table of the file is too large")
    if sum(each.file_size for each in entries) > _LARGEST_GROWTH * path.stat().st_size + _LARGEST_PICKLE:
        raise ValueError("the file contains more than its size suggests")


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
    """Return whether `value` is a dense tensor with all of its numbers in memory, of a type that a network can have."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and value.dtype in _TYPES
        # A tensor of billions of numbers can repeat the few that a small file has.
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
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
