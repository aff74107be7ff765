"""Entry point of ``python -m trainer``, which is ``ratui-train``, and of ``torchrun -m trainer``."""

from trainer.cli import main

main()
