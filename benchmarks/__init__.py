"""Benchmarks: measured, kept with their history, never timed inside tests."""
