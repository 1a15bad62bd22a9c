/* Dealing ratings into the blocks of a grid and putting each block into canonical order: plain C, no Python, no threads,
 * no allocation. Every function works on the ratings of one block, or on a run of rows of X.
 */
#ifndef SKLEARN_MF_GRID_H
#define SKLEARN_MF_GRID_H

#include <stddef.h>
#include <stdint.h>

/* Where a user or an item lies: its group, and its row among the rows of that group. */
typedef struct {
    int32_t row;
    int32_t group;
} grid_place;

/* Block of a user group and an item group: s A + a holds user group a of A in stratum s = (b - a) mod P, P item groups. */
static inline int64_t grid_block(int32_t a, int32_t b, int32_t n_user_groups, int32_t n_groups)
{
    const int64_t stratum = b >= a ? b - a : b - a + n_groups;
    return stratum * n_user_groups + a;
}

/* count[block] += the ratings of each block among `n` rows; rows of weight 0 are absent. */
void grid_count(ptrdiff_t n, const int32_t *const *codes, const double *weights, const grid_place *users,
                const grid_place *items, int32_t n_user_groups, int32_t n_groups, int64_t *count);

/* Writes `n` rows to their blocks, from next[block] on, which moves on with each. `codes` holds the levels by field,
 * `offset` the first stacked row of each field: index takes rows within the group for the first two fields, stacked rows
 * for others. Weights are multiplied by `weight_scale` and stay above 1e-30, the least that single precision holds.
 * Returns -1, or the row whose place is not among the `n_out` that there are, where it ends. */
ptrdiff_t grid_scatter(ptrdiff_t n, int n_fields, const int32_t *const *codes, const double *values,
                       const double *weights, double weight_scale, const grid_place *users, const grid_place *items,
                       const int64_t *offset, int32_t n_user_groups, int32_t n_groups, int64_t n_out, int64_t *next,
                       int32_t *index, double *values_out, double *weights_out);

/* Bytes of scratch for grid_order. */
size_t grid_order_scratch(ptrdiff_t n, int n_fields);

/* Puts a block in the order of a hash of the indices, equal ones by value and weight: random, and a function of the set
 * of ratings alone. Returns how many ratings equal the one before them in indices and value. */
ptrdiff_t grid_order(ptrdiff_t n, int n_fields, uint64_t seed, int32_t *index, double *values, double *weights,
                     void *scratch);

/* Merges neighbors that are equal in indices and value: weights add up. Returns the number left, at the front. */
ptrdiff_t grid_merge(ptrdiff_t n, int n_fields, int32_t *index, double *values, double *weights);

/* Numbers the rows of context fields within the block, in `index`: in ascending order, or by first appearance where the
 * rows lie far apart. `context_rows` takes their stacked rows and `row_weights` the summed weight of each. `number` is
 * scratch, one for each stacked row, all -1, and left so. Returns how many there are. */
ptrdiff_t grid_number(ptrdiff_t n, int n_fields, int32_t *index, const double *weights, int32_t *context_rows,
                      double *row_weights, int32_t *number);

/* Puts off ratings that share a row with one of the batch before or of their own, as far as a short queue allows, and
 * fills `batch_kinds` (n / SGD_BATCH,), which says how a batch can be visited (sgd.h). `context_step_factor` has the part of
 * each step that each context row of the block takes; rows of at most SGD_LARGEST_SHARED_STEP may be shared. `last` is
 * scratch: `n_last` entries, one for each row of field f from first[f] on; first[0] is 0. */
void grid_spread(ptrdiff_t n, int n_fields, int32_t *index, double *values, double *weights,
                 const float *context_step_factor, const int64_t *first, int64_t n_last, int32_t *last, uint8_t *batch_kinds);

/* total[row] += summed weight of each row of `field` in a block. */
void grid_add_weights(ptrdiff_t n, int n_fields, int field, const int32_t *index, const double *weights, double *total);

#endif
