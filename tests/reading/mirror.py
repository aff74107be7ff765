"""The image of anything a reading tells when its two time points change places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from ratui.reading import Field, Slot


def image(of: Any) -> Any:
    """`of` with time point 0 for 1 and 1 for 0 wherever a field or a slot is named, also in words."""
    match of:
        case Field(site, scale, time):
            return Field(site, scale, 1 - time)
        case Slot(site, time):
            return Slot(site, 1 - time)
        case str():
            return re.sub(r"\bat ([01])\b", lambda found: f"at {1 - int(found[1])}", of)
        case Mapping():
            return {image(key): image(value) for key, value in of.items()}
        case tuple():
            made = [image(each) for each in of]
            return type(of)(*made) if hasattr(of, "_fields") else tuple(made)
        case set() | frozenset():
            return type(of)(image(each) for each in of)
        case _ if is_dataclass(of) and not isinstance(of, type):
            return replace(of, **{each.name: image(getattr(of, each.name)) for each in fields(of)})
        case _:
            return of
