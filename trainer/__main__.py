"""``python -m trainer`` is ``ratui-train``; ``torchrun -m trainer`` is it on many processes."""

from trainer.cli import main

main()
