"""Where batches go: one contract, one test suite."""
