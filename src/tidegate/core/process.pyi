"""Typed face of process.pyx."""

def tune_allocator() -> bool:
    """Keeps librdkafka's buffers on the heap. Before the first consumer is made. False: not glibc, nothing done."""

def name_thread(name: str) -> None:
    """Names the calling thread for top and perf; at most 15 bytes."""
