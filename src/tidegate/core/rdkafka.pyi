"""Typed face of rdkafka.pyx. Importing it raises ImportError where librdkafka is too old or lacks a symbol."""

def version() -> str:
    """Version of the librdkafka in use, such as ``"2.16.0"``."""
