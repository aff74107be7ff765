"""A uniform failure message for undocumented behaviour of libraries that ratui relies on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from types import ModuleType

__all__ = ["relying_on"]


@contextmanager
def relying_on(what: str, wrapper: ModuleType) -> Iterator[None]:
    """Explain a failure of the block: the library that `wrapper` wraps no longer does `what`."""
    try:
        yield
    except Exception as error:
        libraries = [each.strip().split()[0] for each in wrapper.WRITTEN_FOR.split(",")]
        installed = ", ".join(f"{name} {version(name)}" for name in libraries)
        raise AssertionError(
            f"{what}: this no longer holds with {installed}. {wrapper.__name__} relies on it and was written for "
            f"{wrapper.WRITTEN_FOR}. Adapt that module, which alone uses it."
        ) from error
