"""A simulation of surges: the real decisions of tidegate.pressure, the real order between classes, a modelled app.

Records are groups: what one topic brought of one class in 10 ms. The clock only moves by the world (world.py); a
scenario and its seed decide everything (scenario.py). What must hold is in checks.py; what else could decide, as it was
published, in baselines.py.
"""
