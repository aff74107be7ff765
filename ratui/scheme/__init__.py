"""What is scored: joints, scales, findings and reasons, read from a TOML file.

Another scoring method is another file; no code here names a joint.
"""

from ratui.scheme.load import load_scheme, parse_scheme, shipped_schemes
from ratui.scheme.model import Finding, Grade, Joint, Part, Reason, Scheme, Side, Site, View

__all__ = [
    "Finding",
    "Grade",
    "Joint",
    "Part",
    "Reason",
    "Scheme",
    "Side",
    "Site",
    "View",
    "load_scheme",
    "parse_scheme",
    "shipped_schemes",
]
