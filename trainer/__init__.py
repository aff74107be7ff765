"""trainer: the joint detector and the difference-aware scorer that learn from ratui's readings."""
