/* Bounds of many scores at once, from products of bytes. Plain C: no Python, no threads, no allocation.
 *
 * The score of row p and item q with constant b is <p, q> + b. Rows and items are rounded to integers P and Q of 8 bits,
 * each with its own unit: p = s (P + d) and q = t (Q + e). By the inequality of Cauchy and Schwarz,
 *
 *   |<P + d, Q + e> - <P, Q>|  <=  m  =  |d| |Q + e| + |P| |e|
 *
 * So the score is between s t (<P, Q> - m) + b and s t (<P, Q> + m) + b, apart from rounding in single precision. Items
 * near the best by these bounds are offered to select.h. No score is written to memory.
 */
#ifndef SKLEARN_MF_COARSE_H
#define SKLEARN_MF_COARSE_H

#include "select.h"

enum {
    COARSE_PANEL = SELECT_RUN, /* items that are multiplied with a row at once */
    COARSE_ROWS = 6,           /* rows that are multiplied with an item at once */
    COARSE_MOST_FACTORS = 4096 /* with so many, sums of products fit in 32 bits, sums of squares in single precision */
};

/* Arrays of items, aligned to 64 bytes, with room for whole panels. `fours` is rank / 4, rounded up. */
typedef struct {
    int fours;
    ptrdiff_t n_panels;
    uint8_t *factors; /* (n_panels, fours, COARSE_PANEL, 4): Q + 128 */
    float *unit;      /* (n_panels, COARSE_PANEL): t; 0 if there is no item */
    float *constant;  /* (n_panels, COARSE_PANEL): b; -infinity if there is no item */
    float *length;    /* (n_panels,): the largest |Q + e| of a panel */
    float *error;     /* (n_panels,): the largest |e| */
} coarse_items;

/* Arrays of rows, with room for a multiple of COARSE_ROWS. Factors after the last row are zeros. */
typedef struct {
    int8_t *factors; /* (n_rows, 4 fours): P */
    float *unit;     /* (n_rows,): s */
    float *length;   /* (n_rows,): |P| */
    float *error;    /* (n_rows,): |d| */
    int32_t *base;   /* (n_rows,): -128 times the sum of P, because items are stored as Q + 128 */
    int32_t *start;  /* (n_rows,): scratch for base + m */
} coarse_rows;

/* Returns whether these functions can be used with this instruction set. They need AVX512-VNNI. */
int coarse_is_available(const char *name);

/* Round n items and fill all panels; round n rows. */
void coarse_round_items(ptrdiff_t n, int rank, const float *factors, const float *constant, const coarse_items *items);
void coarse_round_rows(ptrdiff_t n, int rank, const float *factors, const coarse_rows *rows);

/* Offers to each row the items whose upper bound is above the limit of the row. The margin of a row must include twice
 * the rounding of single precision, in the products with units and in the sum with the constant. */
void coarse_select(const select_state *state, ptrdiff_t n_rows, const coarse_rows *rows, const coarse_items *items);

#endif
