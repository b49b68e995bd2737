"""What operators see: metrics, endpoints, logs."""
