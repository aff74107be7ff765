"""What is scored: joints, scales, findings and reasons, read from a TOML file.

Another scoring method is another file; no code here names a joint.
"""

from ratui.scheme.model import Finding, Grade, Joint, Part, Reason, Scheme, Side, Site, View
from ratui.scheme.parser import list_shipped_schemes, load_scheme, parse_scheme

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
    "list_shipped_schemes",
    "load_scheme",
    "parse_scheme",
]
