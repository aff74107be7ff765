"""``python -m ratui`` is ``ratui``."""

from ratui.cli import main

main()
