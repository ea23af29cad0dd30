"""Accuracy: forecasts beside measurements, good and bad alike.

A *fit* row is one that coefficients were taken from, a *test* row one that they never saw. An *identity*
follows from a run's own numbers (Little's law on its own throughput) and is no forecast at all. Errors are
forecast over measured, less one; beside them stands how far two equal runs differ, below which an error
means nothing.

`python -m benchmarks.accuracy` scores everything and writes `docs/accuracy.md`.
"""
