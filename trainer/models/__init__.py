"""The detector and the scorer, their layers and losses."""
