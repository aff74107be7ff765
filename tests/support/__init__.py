"""Test doubles and the fault harness, shared by the tests and the benchmarks."""
