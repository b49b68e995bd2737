# Memory orders; see csrc/tg_atomic.h.

from libc.stdint cimport int32_t, int64_t, uint64_t

cdef extern from "tg_atomic.h" nogil:
    uint64_t tg_load_u64(const uint64_t *p) noexcept
    void tg_store_u64(uint64_t *p, uint64_t v) noexcept
    int64_t tg_load_i64(const int64_t *p) noexcept
    void tg_store_i64(int64_t *p, int64_t v) noexcept
    int32_t tg_load_i32(const int32_t *p) noexcept
    void tg_store_i32(int32_t *p, int32_t v) noexcept
    int32_t tg_swap_i32(int32_t *p, int32_t v) noexcept
    void tg_fence() noexcept
