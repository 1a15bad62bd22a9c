/* Runs the blocks of an epoch in any number of threads, with the same result as one thread. Plain C: no Python, no
 * allocation.
 *
 * Blocks have an order: by stratum, then by user group. A thread claims the next block. It waits until all earlier blocks
 * of the same user group or item group are done. Then it runs the block. With three fields or more, it also waits until all
 * blocks of earlier strata are done and their changes are added to the shared rows. So a block reads the same values as in
 * a run of one thread (Gemulla et al. 2011, but without a barrier after each stratum).
 */
#ifndef SKLEARN_MF_STRATA_H
#define SKLEARN_MF_STRATA_H

#include "sgd.h"

/* The arrays of BlockGrid (_training/grid.py) and Parameters (_training/parameters.py). Block s P + a belongs to user group
 * a and stratum s. */
typedef struct {
    int n_fields;
    int width;
    int64_t n_groups;             /* P */
    const int32_t *index;         /* IN    (n, n_fields) */
    const float *target;          /* IN    (n,) */
    const float *weight;          /* IN    (n,) or NULL */
    const uint8_t *batch_kinds;         /* IN    block b begins at block_start[b] / SGD_BATCH + b */
    const int64_t *block_start;   /* IN    (P P + 1,) */
    const int64_t *first_row;     /* IN    (P P, 2): first user row and first item row of a block */
    float *rows;                  /* INOUT (n_rows, width); with ties (n_rows, 2 width) */
    sgd_scalars *scalars;         /* INOUT (n_rows,) */
    const float *ties;            /* IN    (users and items, SGD_LANES), or NULL */
    const int32_t *context_rows;  /* IN    stacked rows of the context rows of each block */
    const int64_t *context_start; /* IN    (P P + 1,): start of each block in `context_rows` */
    const float *context_merge_weight;   /* IN    like `context_rows`: part of the block's change that is added */
    const float *context_step_factor;    /* IN    like `context_rows`: part of each step that the row takes */
    float *own_rows;              /* scratch for the context rows of all blocks of one stratum */
    sgd_scalars *own_scalars;     /* scratch of the same length */
    double *loss;                 /* OUT   (P P,) */
    double limit;                 /* if the loss of a block is above it or NaN, the run ends; see `loss` */
} strata_grid;

/* Number of integers in the state that the threads of an epoch share. All are zero when the epoch begins. */
#define STRATA_STATE_SIZE(n_groups) (4 + 2 * (n_groups))

/* Returns the bytes of scratch that each thread needs. */
size_t strata_scratch(const strata_grid *grid);

/* Runs strata[0], ..., strata[n_strata - 1], unless a block ends the run. Threads with the same `state` share the blocks. */
void strata_run(const strata_grid *grid, const sgd_config *config, int64_t n_strata, const int64_t *strata,
                int64_t *state, void *scratch);

/* Runs one block of a grid of two fields. */
void strata_run_block(const strata_grid *grid, const sgd_config *config, int64_t block, void *scratch);

#endif
