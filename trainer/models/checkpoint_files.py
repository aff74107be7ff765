"""Files with a model and its description: written as a whole or not at all, and checked when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ratui.errors import TrainError, clean_text
from ratui.files import atomic_write
from trainer.models.torch_files import check_facts, check_weights, read_torch_file

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path` by rename, so that a killed training leaves a whole checkpoint. Raises TrainError."""
    try:
        with atomic_write(path) as temporary:
            torch.save(state, temporary)
    except (OSError, RuntimeError) as error:
        raise TrainError(
            f"the checkpoint can't be written: {clean_text(error)}", path, "Free some disk space"
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state in `path`: tensors and plain values only, since no code in it is run.

    Raises TrainError, also if its weights are not finite, or its description is no table of plain values.
    """
    try:
        state = read_torch_file(path)
    except FileNotFoundError as error:
        raise TrainError("there is no such checkpoint", path, "Train the model first, or check the path") from error
    except (OSError, ValueError) as error:
        raise TrainError("the checkpoint can't be read safely", path, "Give one that ratui wrote") from error
    if not isinstance(state, dict) or "model" not in state:
        raise TrainError("the file contains no model", path, "Give a model.pt that ratui-train wrote")
    try:
        check_facts(state.get("about", {}))
    except ValueError as error:
        raise TrainError("its description is damaged", path, "Give a model.pt that ratui-train wrote") from error
    try:
        check_weights(state["model"])
    except ValueError as error:
        raise TrainError(str(error), path, "Train the model again") from error
    return state
