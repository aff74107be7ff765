"""Results of models that a study contains: predictions, evaluations, verdicts on films, and an order of reading."""
