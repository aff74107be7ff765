"""Decide on each file before any film is converted: visits, rejected exposures, the choice of one film, manifests."""
