"""Models applied to films: joint search, predictions, proposals."""
