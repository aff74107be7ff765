"""The ``ratui`` command."""
