"""What decides about pressure: numbers and the time in, decisions out. Pure; knows nothing else of this package."""
