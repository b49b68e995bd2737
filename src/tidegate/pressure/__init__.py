"""What decides: numbers and `now` in, decisions out. No clock, no threads, no I/O.

    counters ─► signals (service, ages) ─► View ─► ladder (engage, shed, notches, parking, policy) ─► Orders
                                                     ▲ standing()
    levels ───────────────────────────────────► hold (marks, rates) ─► Decisions

The ladder decides what is parked and sampled, and at which rate lanes are read that can wait; hold.py decides which
lanes are not read at all and which are paused. Neither has a mark of the other's: the ladder shows a hold as its rung
(`ladder.standing`), and says whether holding early is allowed (`Orders.may_hold`, `may_pause`).
"""
