"""The evaluation screen."""
