"""Find out from a header what its film shows, and when it was made."""
