"""Measurements of everything that has a number: `make bench`, or `python -m benchmarks NAME…`."""
