/* How a test program counts and ends. Included once by each, so all of it is static. */
#ifndef TG_CHECK_H
#define TG_CHECK_H

#include <stdio.h>

static int passed, failed;

/* Counts; says `what` was wrong, with the value at hand (borrowed; NULL: there is none), and goes on. */
static void check_value(int right, const char *what, const char *value)
{
    if (right) {
        passed++;
        return;
    }
    failed++;
    if (value)
        printf("FAILED %s: %.100s\n", what, value);
    else
        printf("FAILED %s\n", what);
}

/* Says how many passed. Returns the exit code: 1 where any failed. */
static int check_result(void)
{
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}

#endif
