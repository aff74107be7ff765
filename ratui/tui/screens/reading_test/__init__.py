"""The test of what a rater can see on this display: forced choices between two simulated joints."""
