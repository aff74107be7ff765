"""Faults done to stores, for ratui's own and for TinyDB's stock storage alike: `benchmarks/faults.py` and the tests use it.

Everything here uses real processes and real files; what is counted is what was acknowledged and what came back.
"""
