"""Training: the loop, run folders, metric logs."""
