"""Entry of scores: the scoring session, saving, and the texts that describe a reading."""
