/* Runs the blocks of an epoch in any number of threads, with the result of one thread. Plain C, no Python, no
 * allocation.
 *
 * Blocks have an order: stratum by stratum, user group by user group. A thread claims the next block. It waits until
 * all earlier blocks of the same user group or item group are done, then runs the block. With three fields or more, it
 * waits until all blocks of earlier strata are done and their changes to shared rows are added up. So a block reads the
 * same values as in a run of one thread (Gemulla et al. 2011, without a barrier for each stratum).
 */
#ifndef SKLEARN_MF_STRATA_H
#define SKLEARN_MF_STRATA_H

#include "sgd.h"

/* As BlockGrid (_training/grid.py) and Parameters (_training/parameters.py) have it; block s P + a is that of user group a
 * in stratum s. */
typedef struct {
    int n_fields;
    int width;
    int64_t n_groups;             /* P */
    const int32_t *index;         /* IN    (n, n_fields) */
    const float *target;          /* IN    (n,) */
    const float *weight;          /* IN    (n,) or NULL */
    const uint8_t *batch_kinds;         /* IN    block b's begin at block_start[b] / SGD_BATCH + b */
    const int64_t *block_start;   /* IN    (P P + 1,) */
    const int64_t *first_row;     /* IN    (P P, 2): first user row and first item row of a block */
    float *rows;                  /* INOUT (n_rows, width); with ties (n_rows, 2 width) */
    sgd_scalars *scalars;         /* INOUT (n_rows,) */
    const float *ties;            /* IN    (users and items, SGD_LANES), or NULL */
    const int32_t *context_rows;  /* IN    rows of context fields that each block works on */
    const int64_t *context_start; /* IN    (P P + 1,): a block's part of `context_rows` */
    const float *context_merge_weight;   /* IN    as `context_rows`: part of the block's change that counts */
    const float *context_step_factor;    /* IN    as `context_rows`: part of each step that the row takes */
    float *own_rows;              /* scratch for the context rows of the blocks of any one stratum */
    sgd_scalars *own_scalars;     /* the same */
    double *loss;                 /* OUT   (P P,) */
    double limit;                 /* a block whose loss is above it, or not a number, ends the run: `loss` tells */
} strata_grid;

/* Numbers in the state that the threads of an epoch share, all zero when it begins. */
#define STRATA_STATE_SIZE(n_groups) (4 + 2 * (n_groups))

/* Bytes of scratch that each thread needs. */
size_t strata_scratch(const strata_grid *grid);

/* Runs strata[0], ..., strata[n_strata - 1], unless a block ends it, together with the other threads that were given the
 * same `state`. */
void strata_run(const strata_grid *grid, const sgd_config *config, int64_t n_strata, const int64_t *strata,
                int64_t *state, void *scratch);

/* Runs one block of a grid of two fields. */
void strata_run_block(const strata_grid *grid, const sgd_config *config, int64_t block, void *scratch);

#endif
