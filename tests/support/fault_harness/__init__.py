"""Fault injection for ratui's store and TinyDB's own storage, for `benchmarks/faults.py` and the tests.

It uses real processes and real files, and counts the acknowledged entries and those found afterwards.
"""
