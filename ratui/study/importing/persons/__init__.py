"""Find out which films show one person, and keep the pseudonyms of the persons."""
