"""The contact sheet screen."""
