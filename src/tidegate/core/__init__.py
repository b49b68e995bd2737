"""The native core: reading, scanning, classes, rings, scheduling, acknowledgement."""
