/* What a program that runs under callgrind asks of it; _instructions_worker.py calls these. */
#include <valgrind/callgrind.h>

/* Before the first fit; imports, which are not counted, are quicker without. */
void start_counting(void)
{
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
}

/* Writes what was executed since the last call, and counts from zero again. */
void write_counts(const char *name)
{
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_ZERO_STATS;
}
