/* Alternating least squares over all pairs of user and item, observed or not. The rows of one side are solved while the
 * rows of the other side are held fixed. Plain C: no Python, no threads, no allocation.
 *
 * Row x of a side minimizes, over its observed pairs j, with rows q_j of the other side,
 *
 *     sum_j c_j (1 - <x, q_j>)^2 + w0 sum_all <x, q>^2 + ridge |x|^2
 *
 * so (w0 Q^T Q + ridge 1 + sum_j c_j q_j q_j^T) x = sum_j c_j q_j (Hu, Koren and Volinsky 2008). A few steps of
 * conjugate gradients from the current row are enough in each alternation (Takacs, Pilaszy and Tikk 2011). They need no
 * matrix for each row. The result for a row does not depend on the other rows of its side.
 */
#ifndef SKLEARN_MF_ALS_H
#define SKLEARN_MF_ALS_H

#include <stddef.h>
#include <stdint.h>

enum {
    ALS_LANES = 16, /* the floats of a row are a multiple of it; those beyond the rank of the model are zero */
    ALS_ROWS = 4,   /* rows that are solved side by side, so that the Gram matrix is read once for all of them */
    ALS_VECTORS = 4 * ALS_ROWS, /* of `rank` floats that als_solve needs as scratch */
};

/* One side, and the data from which it is solved. */
typedef struct {
    int rank;
    int n_steps;           /* of conjugate gradients, at most */
    float tolerance;       /* a row ends when its squared residual is below this share of its scale */
    const int64_t *start;  /* IN    (n_rows + 1,): start of a row's part of the next two */
    const int32_t *index;  /* IN    (n_pairs,): rows of the other side */
    const float *weight;   /* IN    (n_pairs,): c; NULL: all are 1 */
    const float *ridge;    /* IN    (n_rows,) */
    const float *gram;     /* IN    (rank, rank): w0 Q^T Q */
    const float *other;    /* IN    (n_other, rank): Q */
    float *own;            /* INOUT (n_rows, rank): x */
} als_side;

/* Sums over the solved rows. */
typedef struct {
    double objective; /* before the steps, with w0 and ridge */
    double decrease;  /* of the objective, by the steps */
    double penalty;   /* ridge |x|^2 after them */
} als_sums;

/* Solve the rows first..last - 1; `scratch` has ALS_VECTORS vectors. Adds to `sums`. */
void als_solve(const als_side *side, ptrdiff_t first, ptrdiff_t last, float *scratch, als_sums *sums);

/* gram (rank, rank) += rows^T rows for `n` rows, in double precision but for sums of a few hundred rows, which are taken
 * in `scratch` (rank, rank). */
void als_gram(ptrdiff_t n, int rank, const float *rows, float *scratch, double *gram);

/* Use the instruction set of this name, "avx512", "avx2" or "baseline", which the processor has. */
void als_select_simd(const char *name);

#endif
