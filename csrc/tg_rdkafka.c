#include "tg_rdkafka.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

const char *tg_rdkafka_load(const char *path, tg_rdkafka *api, char *words, size_t size)
{
    /* NOLOAD: never a second copy of the library beside the one that confluent_kafka uses. */
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (!library) {
        snprintf(words, size, "%s is not loaded", path);
        return words;
    }
    /* A function pointer read back as an object pointer is what POSIX's dlsym asks for; memcpy keeps C11 quiet. */
#define TG_RDKAFKA_RESOLVE(type, name, params)                                                           \
    {                                                                                                    \
        void *symbol = dlsym(library, "rd_kafka_" #name);                                                \
        if (!symbol) {                                                                                   \
            snprintf(words, size, "symbol rd_kafka_" #name " is missing in the librdkafka of %s", path); \
            return words;                                                                                \
        }                                                                                                \
        memcpy(&api->name, &symbol, sizeof symbol);                                                      \
    }
    TG_RDKAFKA_FUNCTIONS(TG_RDKAFKA_RESOLVE)
#undef TG_RDKAFKA_RESOLVE
    if (api->version() < TG_RDKAFKA_MIN_VERSION) {
        snprintf(words, size, "librdkafka %s is too old: 2.15.0 or newer is needed", api->version_str());
        return words;
    }
    return NULL; /* the handle stays open: the pointers live as long as the process */
}
