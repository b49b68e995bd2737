# The envelope of a parked record, towards Python.

from tidegate.core.csrc cimport tg_parked

cdef object to_python(const tg_parked *r)
