"""A pretended GPU, which counts the operator calls, copies and waits of a training step on a machine without a GPU.

It computes on the CPU. Its tensors state that they are on a GPU, so a program takes the same way through its code as on a
real one. It is for single processes in full precision.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["GPU", "PretendedGpu", "count_step"]

GPU = torch.device("cuda", 0)
_WARM_UP, _COUNTED = 1, 2  # steps
_DATA_DEPENDENT = {
    *("_local_scalar_dense", "nonzero", "masked_select", "equal", "bincount", "_linalg_check_errors"),
    *("_unique", "_unique2", "unique_dim", "unique_consecutive"),
}
"""Operators for whose values or size the program waits until the GPU has finished all earlier work."""
_INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
_FREE = {
    *("detach", "alias", "lift_fresh"),
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"),
}
"""Operators that start no work, besides views."""


class GpuTensor(torch.Tensor):
    """A tensor that states that it is on a GPU, and holds its values, `inner`, in CPU memory."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: Tensor) -> GpuTensor:
        self: GpuTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device="meta",  # for autograd, which would look for the streams of a GPU
            requires_grad=inner.requires_grad,
        )
        self.inner = inner
        return self

    def __init__(self, inner: Tensor) -> None:
        pass

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return GPU

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, lambda kind, name: None)


class PretendedGpu(TorchDispatchMode):
    """A context in which the device `GPU` exists. While `is_counting`, `counts` counts what reaches it.

    The keys of `counts` are ``operators``, ``copies to the GPU``, ``copies from the GPU`` and ``waits``. `waits` counts the
    waits by operator and function of the trainer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.is_counting = True
        self._open = contextlib.ExitStack()

    def __enter__(self) -> PretendedGpu:
        generator = torch.Generator
        for target, name, value in (
            (torch.cuda, "_lazy_init", lambda: None),
            (torch.cuda, "mem_get_info", lambda *_: (2**40, 2**40)),
            (torch.Tensor, "pin_memory", lambda self, *_: self),
            (torch, "Generator", lambda *_: generator()),
            (torch.nn.utils.clip_grad, "_has_foreach_support", lambda *_: True),
        ):
            self._open.enter_context(mock.patch.object(target, name, value))
        # Otherwise torch.tensor(values, device="cuda") makes its copy where no mode sees it.
        torch._C._set_only_lift_cpu_tensors(True)
        self._open.callback(torch._C._set_only_lift_cpu_tensors, False)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._open.close()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, self._count)

    def _count(self, kind: str, name: str) -> None:
        if not self.is_counting:
            return
        self.counts[kind] += 1
        if kind == "waits":
            frames = [each for each in traceback.extract_stack() if f"{os.sep}trainer{os.sep}" in each.filename]
            place = f"{Path(frames[-1].filename).name}, {frames[-1].name}" if frames else "no function of the trainer"
            self.waits[f"{name} in {place}"] += 1


def _run(func: Any, args: Any, kwargs: dict[str, Any], count: Callable[[str, str], None]) -> Any:
    """Compute an operator on the CPU, and count it if it reaches the pretended GPU."""
    ours = [each for each in tree_leaves((args, kwargs)) if isinstance(each, GpuTensor)]
    target = None if kwargs.get("device") is None else torch.device(kwargs["device"]).type
    if not ours and target not in ("cuda", "meta"):  # C++ code sees "meta"
        return func(*args, **kwargs)
    base = func.overloadpacket.__name__
    for kind, name in _classify(func, base, args, kwargs, ours, target):
        count(kind, name)
    inner_args, inner_kwargs = tree_map(
        lambda each: each.inner if isinstance(each, GpuTensor) else each, (args, kwargs)
    )
    if target is not None:
        inner_kwargs["device"] = torch.device("cpu")
    result = func(*inner_args, **inner_kwargs)
    if target == "cpu" or (base == "copy_" and not isinstance(args[0], GpuTensor)):
        return result
    given = {id(each.inner): each for each in ours}  # an operator in place returns its argument

    def wrap(each: Any) -> Any:
        return (given[id(each)] if id(each) in given else GpuTensor(each)) if isinstance(each, Tensor) else each

    return tree_map(wrap, result)


def _classify(
    func: Any, base: str, args: Any, kwargs: dict[str, Any], ours: list[GpuTensor], target: str | None
) -> Iterator[tuple[str, str]]:
    """Yield the kinds of `PretendedGpu.counts` that an operator counts as, each with its name."""
    if base == "_to_copy" and ours and target in ("cuda", "meta") and kwargs.get("dtype") in (None, args[0].dtype):
        return  # it is there already
    if base in ("_to_copy", "copy_"):
        from_cpu = not ours if base == "_to_copy" else not isinstance(args[1], GpuTensor)
        to_cpu = target == "cpu" if base == "_to_copy" else not isinstance(args[0], GpuTensor)
        if from_cpu or to_cpu:
            yield f"copies {'to' if from_cpu else 'from'} the GPU", base
            if to_cpu or not (kwargs.get("non_blocking") or (base == "copy_" and len(args) > 2 and args[2])):
                yield "waits", base
            return
    if base in _INDEXED:
        for index in args[1]:
            if isinstance(index, Tensor) and not isinstance(index, GpuTensor):
                yield "copies to the GPU", base
                yield "waits", base
            elif isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8):
                yield "waits", f"{base} with a mask"
    if base in _DATA_DEPENDENT or (base == "repeat_interleave" and kwargs.get("output_size") is None):
        yield "copies from the GPU", base
        yield "waits", base
    elif base not in _FREE and not func.is_view:
        yield "operators", base


def count_step(
    model: nn.Module, make_batches: Callable[[torch.device], Any], batch_loss: Any
) -> tuple[dict[str, float], Counter[str]]:
    """Return the counts of a training step of `model`, and the places of its waits, from some steps after the first ones."""
    from trainer.training.loop import Training, TrainingPlan  # of the tree that is counted, which may be an earlier one

    with PretendedGpu() as gpu:
        gpu.is_counting = False
        batches = make_batches(GPU)
        done = 0

        def watched(epoch: int, group: Any) -> Iterator[Any]:
            nonlocal done
            for batch in batches(epoch, group):
                yield batch
                done += 1
                gpu.is_counting = _WARM_UP <= done < _WARM_UP + _COUNTED
                if done == _WARM_UP + _COUNTED:
                    return

        plan = TrainingPlan(epochs=10**6, steps=_WARM_UP + _COUNTED, amp=False)
        Training(model, plan, GPU).run(watched, batch_loss)
    return {kind: round(count / _COUNTED, 1) for kind, count in gpu.counts.items()}, gpu.waits
