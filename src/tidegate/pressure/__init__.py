"""What decides: numbers and `now` in, decisions out. No clock, no threads, no I/O."""
