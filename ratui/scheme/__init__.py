"""Scoring methods: joints, scales, grades, findings and reasons, loaded from a TOML file.

The shipped schemes are those of the modified total Sharp score (van der Heijde). Another method is another file; no
code names a joint.
"""

from ratui.scheme.model import MAX_GRADES, Finding, Grade, Joint, Part, Reason, Scheme, Side, Site, View
from ratui.scheme.parser import list_shipped_schemes, load_scheme, parse_scheme

__all__ = [
    "MAX_GRADES",
    "Finding",
    "Grade",
    "Joint",
    "Part",
    "Reason",
    "Scheme",
    "Side",
    "Site",
    "View",
    "list_shipped_schemes",
    "load_scheme",
    "parse_scheme",
]
