"""Hypothesis strategies and small schemes that several tests share."""

from __future__ import annotations

from ratui.scheme import Scheme, parse_scheme

TINY_TOML = """
format = 1
name = "tiny"
title = "Two joints"
scales = ["ERO", "JSN"]
[grades.two]
0 = "none"
1 = "some"
2 = "all"
[[findings]]
id = "ankylosis"
key = "a"
label = "ankylosis"
meaning = "fused"
heals = false
sets = { ERO = "max", JSN = "max" }
[[findings]]
id = "luxation"
key = "l"
label = "luxation"
meaning = "out of joint"
heals = true
sets = { JSN = 2 }
[[reasons]]
id = "outside"
key = "o"
label = "outside the image"
whole_joint = true
from_regions = true
[[reasons]]
id = "unreadable"
key = "u"
label = "unreadable"
whole_joint = false
[[parts]]
id = "hand"
label = "hand"
[[joints]]
id = "IP1"
part = "hand"
group = "PIP"
grades = { ERO = "two" }
[[joints]]
id = "MCP1"
part = "hand"
group = "MCP"
grades = { ERO = "two", JSN = "two" }
[views.hand]
part = "hand"
label = "hand"
template = { IP1 = [0.7, 0.2, 0.1], MCP1 = [0.6, 0.5, 0.1] }
"""


def tiny_scheme() -> Scheme:
    """Two joints a side, three grades, one lasting and one healing finding: small enough to search exhaustively."""
    return parse_scheme(TINY_TOML, "tiny.toml")


def small_scheme() -> Scheme:
    """The tiny scheme with an erosion scale of four grades at MCP1, so that a change of three is possible."""
    three = """[grades.three]
0 = "none"
1 = "some"
2 = "much"
3 = "all"
[grades.two]"""
    text = TINY_TOML.replace("[grades.two]", three).replace('ERO = "two", JSN', 'ERO = "three", JSN')
    return parse_scheme(text, "small.toml")
