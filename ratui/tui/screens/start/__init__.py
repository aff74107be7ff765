"""The start screen of ``ratui`` without arguments."""
