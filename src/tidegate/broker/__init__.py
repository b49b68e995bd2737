"""Kafka beyond the hot path."""
