"""Settings of the test run.

A module that drives whole screens, runs programs or trains says so with ``pytestmark = pytest.mark.slow``.
``-m 'not slow'`` leaves these out.
"""

from __future__ import annotations

from hypothesis import settings

# How long an example takes is no finding: machines are busy. And what fails is to be the change, not the draw: the same
# examples each time, other ones with --hypothesis-profile=search.
settings.register_profile("search", deadline=None)
settings.register_profile("ratui", deadline=None, derandomize=True)
settings.load_profile("ratui")
