"""Suppression of the libraries' warnings and log records, which repeat values of data sets, URLs and titles."""

from __future__ import annotations

import logging
import warnings

__all__ = ["silence_libraries"]

_LOGGERS = ("pydicom", "pynetdicom", "dicomweb_client.web", "retrying", "urllib3.connectionpool")


def silence_libraries() -> None:
    """Suppress warnings and log records of the libraries in this process, in all threads."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # Not warnings.catch_warnings: it restores filters that another thread needs, and values are parsed when they are used.
    warnings.filterwarnings("ignore", module=r"(pydicom|pynetdicom|dicomweb_client|retrying|urllib3|requests)(\.|$)")
