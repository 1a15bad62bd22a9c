/* Bounds of many scores at once from products of bytes: plain C, no Python, no threads, no allocation.
 *
 * The score of row p and item q with constant b is <p, q> + b. Rows and items are rounded to integers P, Q of 8 bits, each
 * with a unit of its own, p = s (P + d) and q = t (Q + e), and
 *
 *   |<P + d, Q + e> - <P, Q>|  <=  m  =  |d| |Q + e| + |P| |e|             (Cauchy and Schwarz)
 *
 * so that the score is between s t (<P, Q> - m) + b and s t (<P, Q> + m) + b, but for the rounding of single precision.
 * What is near the best by these bounds is offered to select.h; no score is written to memory.
 */
#ifndef SKLEARN_MF_COARSE_H
#define SKLEARN_MF_COARSE_H

#include "select.h"

enum {
    COARSE_PANEL = SELECT_RUN, /* items that a row meets at once */
    COARSE_ROWS = 6,           /* rows that an item meets at once */
    COARSE_MOST_FACTORS = 4096 /* sums of products fit in 32 bits, sums of squares in single precision */
};

/* Arrays of items, all aligned to 64 bytes and made for a whole number of panels; `fours` = rank / 4, rounded up. */
typedef struct {
    int fours;
    ptrdiff_t n_panels;
    uint8_t *factors; /* (n_panels, fours, COARSE_PANEL, 4): Q + 128 */
    float *unit;      /* (n_panels, COARSE_PANEL): t; 0 where there is no item */
    float *constant;  /* (n_panels, COARSE_PANEL): b; -infinity where there is no item */
    float *length;    /* (n_panels,): the largest |Q + e| of a panel */
    float *error;     /* (n_panels,): the largest |e| */
} coarse_items;

/* Arrays of rows, made for a multiple of COARSE_ROWS; factors beyond the last row are zeros. */
typedef struct {
    int8_t *factors; /* (n_rows, 4 fours): P */
    float *unit;     /* (n_rows,): s */
    float *length;   /* (n_rows,): |P| */
    float *error;    /* (n_rows,): |d| */
    int32_t *base;   /* (n_rows,): -128 times the sum of P, for Q + 128 in place of Q */
    int32_t *start;  /* (n_rows,): scratch, base + m */
} coarse_rows;

/* Whether it can be used with the instruction set of this name; it needs AVX512-VNNI. */
int coarse_is_available(const char *name);

/* Round n items, into all panels, and n rows. */
void coarse_round_items(ptrdiff_t n, int rank, const float *factors, const float *constant, const coarse_items *items);
void coarse_round_rows(ptrdiff_t n, int rank, const float *factors, const coarse_rows *rows);

/* Offers to each row the items whose upper bound is above its limit. Twice the rounding of single precision, in the
 * products with units and in the sum with the constant, is to be in the margin of the row. */
void coarse_select(const select_state *state, ptrdiff_t n_rows, const coarse_rows *rows, const coarse_items *items);

#endif
