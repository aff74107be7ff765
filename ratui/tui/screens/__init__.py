"""The app's screens: worklist, regions, scoring, overview, help."""
