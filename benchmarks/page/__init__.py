"""docs/benchmarks.md and its pictures, made from benchmarks/results."""
