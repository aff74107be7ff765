"""``python -m ratui`` is ``ratui``."""

from ratui.cli.main import main

main()
