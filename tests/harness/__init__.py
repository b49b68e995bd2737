"""Real parts for tests and benchmarks: brokers, an app over HTTP, a sidecar process, and a checker that trusts none.

Everything here works without tidegate's own code (but for the embedded broker), so that a defect in tidegate cannot
hide in the tool that looks for it.
"""
