/* Scattering ratings to the blocks of a grid, and putting each block into canonical order. Plain C: no Python, no
 * threads, no allocation. Every function works on the ratings of one block, or on a run of rows of X.
 */
#ifndef SKLEARN_MF_GRID_H
#define SKLEARN_MF_GRID_H

#include <stddef.h>
#include <stdint.h>

/* The place of a user or an item: its group, and its row among the rows of this group. */
typedef struct {
    int32_t row;
    int32_t group;
} grid_place;

/* The block of user group a and item group b: s A + a with stratum s = (b - a) mod P, for A user groups and P item
 * groups. */
static inline int64_t grid_block(int32_t a, int32_t b, int32_t n_user_groups, int32_t n_groups)
{
    const int64_t stratum = b >= a ? b - a : b - a + n_groups;
    return stratum * n_user_groups + a;
}

/* count[block] += number of ratings of the block among `n` rows. Rows of weight 0 do not count. */
void grid_count(ptrdiff_t n, const int32_t *const *codes, const double *weights, const grid_place *users,
                const grid_place *items, int32_t n_user_groups, int32_t n_groups, int64_t *count);

/* Writes `n` rows to their blocks. next[block] is the place of the next rating, and moves on with each rating. `codes` has
 * the levels by field, `offset` the first stacked row of each field. `index` gets the row within the group for users and
 * items, and the stacked row for other fields. Weights are multiplied by `weight_scale`, and set to at least 1e-30 so that
 * they are above 0 in single precision. Returns -1. If a place is not among the `n_out` places, it stops and returns the
 * row. */
ptrdiff_t grid_scatter(ptrdiff_t n, int n_fields, const int32_t *const *codes, const double *values,
                       const double *weights, double weight_scale, const grid_place *users, const grid_place *items,
                       const int64_t *offset, int32_t n_user_groups, int32_t n_groups, int64_t n_out, int64_t *next,
                       int32_t *index, double *values_out, double *weights_out);

/* Bytes of scratch for grid_order. */
size_t grid_order_scratch(ptrdiff_t n, int n_fields);

/* Bands of a field: runs of `n_rows` rows. The ratings of a block are visited one band after another, so that the rows of a
 * band stay in the cache. */
typedef struct {
    int field;
    int32_t n_rows;
    int shift; /* the numbers of all bands fit into so many bits; 0 to 31 */
} grid_bands;

/* Sorts a block by band, then by a hash of the indices, and ratings with the same indices by value and weight. The order
 * within a band is pseudo-random, and depends only on the set of ratings. Returns how many ratings equal the previous rating
 * in indices and value. */
ptrdiff_t grid_order(ptrdiff_t n, int n_fields, uint64_t seed, grid_bands bands, int32_t *index, double *values,
                     double *weights, void *scratch);

/* Merges adjacent ratings with equal indices and value, and adds their weights. Returns the number of ratings that remain,
 * at the front. */
ptrdiff_t grid_merge(ptrdiff_t n, int n_fields, int32_t *index, double *values, double *weights);

/* Numbers the context rows of the block, and writes the numbers to `index`. Numbers are in ascending order of rows, or in
 * the order of first appearance if the rows are far apart. `context_rows` gets the stacked rows, `row_weights` the summed
 * weight of each. `number` is scratch with an entry for each stacked row. All entries are -1 before and after the call.
 * Returns the number of context rows. */
ptrdiff_t grid_number(ptrdiff_t n, int n_fields, int32_t *index, const double *weights, int32_t *context_rows,
                      double *row_weights, int32_t *number);

/* Moves ratings of the same row apart. If a rating shares a row with its own or the previous batch, it waits in a short
 * queue for a later place. Fills `batch_kinds` (n / SGD_BATCH,), which says how a batch can be visited (sgd.h).
 * `context_step_factor` has the part of each step that each context row takes. Rows that take at most
 * SGD_LARGEST_SHARED_STEP may be shared. `last` is scratch with `n_last` entries: one for each row of field f, from first[f]
 * on. first[0] is 0. */
void grid_spread(ptrdiff_t n, int n_fields, int32_t *index, double *values, double *weights,
                 const float *context_step_factor, const int64_t *first, int64_t n_last, int32_t *last, uint8_t *batch_kinds);

/* total[row] += summed weight of each row of `field` in a block. */
void grid_add_weights(ptrdiff_t n, int n_fields, int field, const int32_t *index, const double *weights, double *total);

#endif
