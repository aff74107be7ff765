"""The screen that shows the plan of an import."""
