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


SMALL_TOML = """
format = 1
name = "small"
title = "One joint of each shape"
scales = ["ERO", "JSN"]
[grades.four]
0 = "none"
1 = "some"
2 = "much"
3 = "all"
[grades.two]
0 = "none"
1 = "some"
[[findings]]
id = "ankylosis"
key = "a"
label = "ankylosis"
meaning = "fused"
heals = false
sets = { ERO = "max", JSN = "max" }
[[findings]]
id = "notch"
key = "t"
label = "notch"
meaning = "sets erosion only"
heals = true
sets = { ERO = 2 }
[[findings]]
id = "luxation"
key = "l"
label = "luxation"
meaning = "sets narrowing only"
heals = true
sets = { JSN = 1 }
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
grades = { ERO = "four" }
[[joints]]
id = "MCP1"
part = "hand"
group = "MCP"
grades = { ERO = "four", JSN = "two" }
[views.hand]
part = "hand"
label = "hand"
template = { IP1 = [0.7, 0.2, 0.1], MCP1 = [0.6, 0.5, 0.1] }
"""


def small_scheme() -> Scheme:
    """A joint with one scale and one with two, every shape of finding and reason, and a scale long enough for a jump."""
    return parse_scheme(SMALL_TOML, "small.toml")
