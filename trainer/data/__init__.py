"""Training samples: joint crops of both time points and whole hands, from studies, COCO files and the simulator."""
