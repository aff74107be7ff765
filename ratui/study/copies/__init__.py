"""Copies of a study: snapshots, backups, packages for raters, copies of other sites, conversion to this format."""
