"""The tour of six keys for a first-time rater."""
