"""A deterministic simulation of group members on a modelled Kafka and a modelled app.

Real: rings, ledger and dispatcher (native), and delivery's choice, allowance, pacing and handling of answers (Python).
Modelled: Kafka's logs and group (kafka.py, group.py), librdkafka's consumer (client.py) and its producer with the
parking topic (producer.py), the app (app.py). Mirrored, function by function, because the native ones cannot run
without librdkafka: lanes.pyx, intake.pyx, admission.pyx, handle.pyx, producer.pyx and reports.pyx.
One seed chooses every fault, every interleaving and every answer; the clock only moves by the scheduler (world.py).
"""
