"""Settings of the process that the native path profits from."""

cdef extern from *:
    """
    #include <pthread.h>
    #include <stdlib.h>
    #ifdef __GLIBC__
    #include <malloc.h>
    /* librdkafka decompresses each batch into a buffer of some hundred KiB, in one thread, that another thread
     * frees. With the defaults every one is a mapping of its own (or trimmed at once): a page fault per 4 KiB, a
     * fifth of all CPU. Kept on the heap they are used again and again. Larger ones are left as mappings: on the
     * heap, bodies and records of a megabyte would leave holes of a megabyte. Two arenas: buffers that cross
     * threads come back to few. */
    static int tg_tune_allocator(void)
    {
        return mallopt(M_MMAP_THRESHOLD, 1 << 19) && mallopt(M_TRIM_THRESHOLD, 32 << 20) &&
               mallopt(M_ARENA_MAX, 2);
    }
    #else
    static int tg_tune_allocator(void) { return 0; }
    #endif
    #ifdef __linux__
    static void tg_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
    #else
    static void tg_name_thread(const char *name) { (void)name; }
    #endif
    """
    int tg_tune_allocator() nogil
    void tg_name_thread(const char *name) nogil


def tune_allocator() -> bool:
    """Keeps librdkafka's buffers on the heap. Before the first consumer is made. False: not glibc, nothing done."""
    return tg_tune_allocator() != 0


def name_thread(str name) -> None:
    """Names the calling thread for top and perf; at most 15 bytes."""
    tg_name_thread(name.encode()[:15])
