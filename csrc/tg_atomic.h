/* tg_atomic: the few memory orders that one producer and one consumer need.
 *
 * acquire/release pair up: whatever the writer wrote before a release store is visible after the acquire
 * load that sees it. The fence is for the sleep/wake handshake alone, where each side first writes its own
 * flag and then reads the other's (Dekker), which acquire/release does not order.
 */
#ifndef TG_ATOMIC_H
#define TG_ATOMIC_H

#include <stdint.h>

static inline uint64_t tg_load_u64(const volatile uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void tg_store_u64(volatile uint64_t *p, uint64_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}
static inline int64_t tg_load_i64(const volatile int64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void tg_store_i64(volatile int64_t *p, int64_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}
static inline int32_t tg_load_i32(const volatile int32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void tg_store_i32(volatile int32_t *p, int32_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}
static inline int32_t tg_swap_i32(volatile int32_t *p, int32_t v)
{
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}
static inline void tg_fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
