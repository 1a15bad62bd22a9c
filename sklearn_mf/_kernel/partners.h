/* Who rated what, for _training/centers.py: sums over the partners of a row, block by block of the grid, and products of tall thin
 * matrices. Plain C, no Python, no threads, no allocation.
 *
 * The distinct pairs of a block are runs: a run is a user and the items rated by that user. So a sum over the items of a
 * user stays in registers, and what goes from a user to the items is loaded once.
 */
#ifndef SKLEARN_MF_PARTNERS_H
#define SKLEARN_MF_PARTNERS_H

#include <stddef.h>
#include <stdint.h>

/* Floats of a row are a multiple of this. */
#define PARTNERS_LANES 8

/* A block's runs; rows are numbered within the groups of the block. */
typedef struct {
    ptrdiff_t n_runs;
    const int32_t *user;  /* (n_runs,) */
    const int32_t *count; /* (n_runs,): items of each run */
    const int32_t *item;  /* run after run */
} partners_block;

/* Finds the runs of `n` ratings, whose first two of `n_fields` indices are user and item; a pair counts once, however
 * often it was rated. `last_user` (n_items,) and `next` (n_users + 1,) are scratch. Returns the number of runs. */
ptrdiff_t partners_find(ptrdiff_t n, int n_fields, const int32_t *index, ptrdiff_t n_users, ptrdiff_t n_items,
                        int32_t *user, int32_t *count, int32_t *item, int32_t *last_user, int32_t *next);

/* to_users[u] += sum of from_items[i] over the items i of u; rows of `width` floats. */
void partners_gather(const partners_block *block, int width, const float *from_items, float *to_users);

/* to_items[i] += sum of from_users[u] over the users u of i; rows of `width` floats. */
void partners_scatter(const partners_block *block, int width, const float *from_users, float *to_items);

/* out += left^T right, and rows += left out: `n` rows of `k` and of `width` floats, (k, width) of out. */
void partners_project(ptrdiff_t n, int k, int width, const float *left, const float *right, float *out);
void partners_expand(ptrdiff_t n, int k, int width, const float *left, const float *out, float *rows);

/* Eigenvalues of a symmetric (k, k) matrix, left on its diagonal, and eigenvectors, the columns of `vectors`. A library's
 * routine would give other last bits on another processor. */
void partners_eigen(int k, double *matrix, double *vectors);

/* Uses 256-bit vectors where `wide`, which the processor must have. */
void partners_select_simd(int wide);

#endif
