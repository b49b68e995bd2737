"""Schedule: critical first, the others by deficit round robin.

Order between classes (pressure.md section 3): strict priority for critical; high, normal and bulk share by deficit
round robin (Shreedhar and Varghese 1995) with weights 8:4:1; together they keep a floor of one record in twenty while
critical never pauses; a class whose oldest record has waited longer than its age budget counts as one class higher,
but never as critical.
"""

cdef enum:
    FLOOR = 20              # one record in so many belongs to the others, whatever critical does

cdef int WEIGHT[TG_CLASSES]
WEIGHT[0], WEIGHT[1], WEIGHT[2], WEIGHT[3] = 0, 8, 4, 1
AGE_BUDGET_SECONDS = (1.0, 5.0, 30.0, 300.0)


cdef class Schedule:
    """The order between classes, without clock and rings, so that it can be tested by itself.

    Args:
        quantum: records that one round gives to weight 1; at least the size of a batch, so that a visit can serve
            (DRR's condition for O(1)).
        age_budgets: seconds after which the head of a class counts as one class higher.

    Raises:
        ValueError: an age budget that is not positive.
    """

    def __init__(self, uint32_t quantum=500, age_budgets=AGE_BUDGET_SECONDS):
        cdef int k
        self.quantum = max(1, quantum)
        self.turn = 1
        for k in range(TG_CLASSES):
            self.deficit[k] = 0
            self.age_budget_ns[k] = <int64_t>(age_budgets[k] * NANOS)
            if self.age_budget_ns[k] <= 0:  # it is a divisor
                raise ValueError(f"an age budget must be longer than 0 seconds, not {age_budgets[k]}")
        self.deficit[1] = <int64_t>self.quantum * WEIGHT[1]

    cdef int weight(self, int klass, int64_t waited_ns) noexcept nogil:
        """DRR weight of a class whose head has waited so long."""
        cdef int64_t steps = waited_ns // self.age_budget_ns[klass] if waited_ns > 0 else 0
        if steps > klass - 1:
            return WEIGHT[1]
        return WEIGHT[klass - <int>steps]

    cdef int choose(self, int ready, const int64_t *waited_ns) noexcept nogil:
        """The class to serve among those whose bit is set in `ready`; -1: none."""
        cdef int others = ready & ~1
        if ready & 1 and (not others or self.floor_owed < FLOOR - 1):
            return 0
        if not others:
            return -1
        while True:
            if others >> self.turn & 1:
                if self.deficit[self.turn] > 0:
                    return self.turn
            else:
                self.deficit[self.turn] = 0  # an idle class saves nothing up
            self.turn = self.turn + 1 if self.turn < TG_CLASSES - 1 else 1
            if others >> self.turn & 1:
                self.deficit[self.turn] += <int64_t>self.quantum * self.weight(self.turn, waited_ns[self.turn])

    cdef void charge(self, int klass, uint32_t records, bint contended) noexcept nogil:
        """Books `records` served; `contended`: critical and others were due at once.

        The floor: while they contend, a critical record owes the others a nineteenth of one. A whole batch may be
        taken on the first record owed; the debt is then worked off before the next."""
        if klass:
            self.deficit[klass] -= records
        if not contended:
            self.floor_owed = 0
        elif klass:
            self.floor_owed -= <int64_t>(FLOOR - 1) * records
        else:
            self.floor_owed += records

    def pick(self, ready, waited=(0.0, 0.0, 0.0, 0.0)) -> int:
        """`choose` from Python: `ready` is a collection of classes, `waited` their heads' seconds."""
        cdef int64_t waited_ns[TG_CLASSES]
        cdef int k, mask = 0
        for k in range(TG_CLASSES):
            waited_ns[k] = <int64_t>(waited[k] * NANOS)
        for k in ready:
            mask |= 1 << k
        return self.choose(mask, waited_ns)

    def book(self, int klass, uint32_t records, bint contended) -> None:
        """`charge` from Python."""
        self.charge(klass, records, contended)
