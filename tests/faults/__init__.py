"""Faults on a real Kafka, each a row of docs/guarantees.md. ``make faults`` runs the long form."""
