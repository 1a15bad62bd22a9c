/* Alternating least squares over all pairs of user and item, observed or not. The rows of one side are solved while the
 * rows of the other side are held fixed. Plain C: no Python, no threads, no allocation.
 *
 * A row x has the observed pairs j, with rows q_j of the other side. It minimizes
 *
 *     sum_j c_j (1 - <x, q_j>)^2 + w0 sum_all <x, q>^2 + ridge |x|^2
 *
 * so (w0 Q^T Q + ridge 1 + sum_j c_j q_j q_j^T) x = sum_j c_j q_j (Hu, Koren and Volinsky 2008). In each alternation, a
 * few steps of conjugate gradients from the current row are enough (Takacs, Pilaszy and Tikk 2011). These steps need no
 * matrix for each row. The result for a row does not depend on the other rows of its side.
 */
#ifndef SKLEARN_MF_ALS_H
#define SKLEARN_MF_ALS_H

#include <stddef.h>
#include <stdint.h>

enum {
    ALS_LANES = 16, /* rows are padded with zeros to a multiple of this number of floats */
    ALS_ROWS = 4,   /* rows that are solved together, so that the Gram matrix is read once for all of them */
    ALS_VECTORS = 4 * ALS_ROWS, /* als_solve needs so many vectors of `rank` floats as scratch */
};

/* One side, and the data from which it is solved. */
typedef struct {
    int rank;
    int n_steps;           /* largest number of steps of conjugate gradients */
    float tolerance;       /* a row is done when its squared residual is below this share of its scale */
    const int64_t *start;  /* IN    (n_rows + 1,): start of each row in `index` and `weight` */
    const int32_t *index;  /* IN    (n_pairs,): rows of the other side */
    const float *weight;   /* IN    (n_pairs,): c; NULL if all are 1 */
    const float *ridge;    /* IN    (n_rows,) */
    const float *gram;     /* IN    (rank, rank): w0 Q^T Q */
    const float *other;    /* IN    (n_other, rank): Q */
    float *own;            /* INOUT (n_rows, rank): x */
} als_side;

/* Sums over the solved rows. */
typedef struct {
    double objective; /* before the steps, including w0 and ridge */
    double decrease;  /* decrease of the objective by the steps */
    double penalty;   /* ridge |x|^2 after the steps */
} als_sums;

/* Solve the rows first..last - 1; `scratch` has ALS_VECTORS vectors. Adds to `sums`. */
void als_solve(const als_side *side, ptrdiff_t first, ptrdiff_t last, float *scratch, als_sums *sums);

/* gram (rank, rank) += rows^T rows for `n` rows. Sums of a few hundred rows are in single precision, in `scratch`
 * (rank, rank). These sums are added in double precision. */
void als_gram(ptrdiff_t n, int rank, const float *rows, float *scratch, double *gram);

/* Use the instruction set "avx512", "avx2" or "baseline". The processor must have it. */
void als_select_simd(const char *name);

#endif
