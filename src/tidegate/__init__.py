"""tidegate: a Kafka sidecar that keeps critical events flowing when the stream surges."""

__version__ = "0.1.0"
__all__ = ["__version__"]
