/* Who rated what, for _training/centers.py: sums over the partners of a row, block by block, and products of tall thin
 * matrices. Plain C: no Python, no threads, no allocation.
 *
 * The distinct pairs of a block are stored as runs. A run is a user and the items that this user rated. So a sum over the
 * items of a user stays in registers, and the row that a user adds to its items is loaded once.
 */
#ifndef SKLEARN_MF_PARTNERS_H
#define SKLEARN_MF_PARTNERS_H

#include <stddef.h>
#include <stdint.h>

/* The number of floats of a row is a multiple of this. */
#define PARTNERS_LANES 8

/* The runs of a block. Rows are numbered within the groups of the block. */
typedef struct {
    ptrdiff_t n_runs;
    const int32_t *user;  /* (n_runs,) */
    const int32_t *count; /* (n_runs,): number of items of each run */
    const int32_t *item;  /* the items of the runs, one run after another */
} partners_block;

/* Finds the runs of `n` ratings. The first two of `n_fields` indices are user and item. A pair counts once, however often
 * it was rated. `last_user` (n_items,) and `next` (n_users + 1,) are scratch. Returns the number of runs. */
ptrdiff_t partners_find(ptrdiff_t n, int n_fields, const int32_t *index, ptrdiff_t n_users, ptrdiff_t n_items,
                        int32_t *user, int32_t *count, int32_t *item, int32_t *last_user, int32_t *next);

/* to_users[u] += sum of from_items[i] over the items i of u. Rows have `width` floats. */
void partners_gather(const partners_block *block, int width, const float *from_items, float *to_users);

/* to_items[i] += sum of from_users[u] over the users u of i. Rows have `width` floats. */
void partners_scatter(const partners_block *block, int width, const float *from_users, float *to_items);

/* out += left^T right, and rows += left out. left is (n, k), right and rows are (n, width), out is (k, width). */
void partners_project(ptrdiff_t n, int k, int width, const float *left, const float *right, float *out);
void partners_expand(ptrdiff_t n, int k, int width, const float *left, const float *out, float *rows);

/* Writes the eigenvalues of a symmetric (k, k) matrix to its diagonal, and the eigenvectors to the columns of `vectors`.
 * With the routine of a library, the last bits would depend on the processor. */
void partners_eigen(int k, double *matrix, double *vectors);

/* Uses 256-bit vectors if `wide`. The processor must have them. */
void partners_select_simd(int wide);

#endif
