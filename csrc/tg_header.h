/* tg_header: one header of a Kafka record, as librdkafka hands it out and as a parked record has it. */
#ifndef TG_HEADER_H
#define TG_HEADER_H

#include <stddef.h>
#include <stdint.h>

/* Borrows from the record. Names repeat, and their order counts. */
typedef struct {
    const char *name; /* not ended by a NUL where it comes out of a parked record */
    size_t name_len;
    const uint8_t *value; /* NULL: a null value, which is not an empty one */
    size_t value_len;
} tg_header;

#endif
