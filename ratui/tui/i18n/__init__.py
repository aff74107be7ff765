"""Texts of the screens in English and Japanese."""
