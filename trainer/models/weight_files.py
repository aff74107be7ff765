"""Reading of files of weights that other programs wrote: state dicts of torch, and safetensors. No code in them is run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ratui.errors import TrainError, clean_text
from trainer.models.torch_files import is_plain_tensor, read_torch_file

__all__ = ["read_state_dict"]

_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
"""Keys under which training programs store the weights. As in timm, the moving average of the weights comes first."""
_PREFIXES = ("module.", "_orig_mod.")
"""Beginnings that `DataParallel` and ``torch.compile`` put before the names of the weights."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the weights in a file by their names, without the wrappers of training programs.

    Parameters
    ----------
    path
        A file that ``torch.save`` wrote, or one whose name ends with ``.safetensors``.

    Raises
    ------
    TrainError
        If the file can't be read without running code, or contains no table of weights.
    """
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for key in _WRAPPERS:
        inner = content.get(key) if isinstance(content, Mapping) else None
        if isinstance(inner, Mapping) and inner:
            content = inner
            break
    if not isinstance(content, Mapping) or not content or not all(map(_is_weight, content.items())):
        raise TrainError("the file contains no table of weights", path, "Give a state_dict that torch.save wrote")
    return {_remove_prefixes(name): value for name, value in content.items()}


def _read_torch(path: Path) -> Any:
    try:
        return read_torch_file(path)
    except FileNotFoundError as error:
        raise TrainError("there is no such file of weights", path, "Check the path") from error
    except (OSError, ValueError) as error:
        raise TrainError("the weights can't be read safely", path, "Give a state_dict that torch.save wrote") from error


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        remedy = "pip install safetensors, or give a state_dict that torch.save wrote"
        raise TrainError("safetensors is not installed", path, remedy) from error
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise TrainError("there is no such file of weights", path, "Check the path") from error
    except Exception as error:  # the error of safetensors is no public class of all its versions
        raise TrainError(f"the weights can't be read: {clean_text(error, 200)}", path, "Get the file again") from error


def _is_weight(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and is_plain_tensor(item[1])


def _remove_prefixes(name: str) -> str:
    while prefix := next((each for each in _PREFIXES if name.startswith(each)), ""):
        name = name.removeprefix(prefix)
    return name
