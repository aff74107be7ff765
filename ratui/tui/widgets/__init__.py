"""Widgets that several screens use. None of them applies rules of the score."""
