"""Benchmarks: what Floodmark forecasts beside what was measured, and how fast it forecasts."""
