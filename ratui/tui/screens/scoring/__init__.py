"""The scoring screen."""
