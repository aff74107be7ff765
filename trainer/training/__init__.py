"""Training of scorer and detector: the loop, the models' batches and losses, run folders."""
