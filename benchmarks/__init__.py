"""Benchmarks of this repository; each is `python -m benchmarks.NAME` and says what it wrote."""
