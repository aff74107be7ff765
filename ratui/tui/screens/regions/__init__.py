"""The regions screen."""
