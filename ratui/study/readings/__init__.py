"""Readings of a study: the open one, stored ones, their evidence, and the permission to change one."""
