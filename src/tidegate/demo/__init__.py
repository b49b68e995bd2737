"""A Black Friday on one machine: generator, slow shop, report."""
