/* What this machine can do, and the bare loop; _machine.py compiles and times it. VECTOR_BYTES is the width of a vector.
 *
 * In GNU C. KEEP makes the compiler compute a value that nobody reads, at no cost.
 */
#include <stddef.h>
#include <stdint.h>

typedef float vec __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
enum { LENGTH = VECTOR_BYTES / 4, UNROLLED = 8, CHAINS = 12 };

#if defined(__AVX512F__)
#define KEEP(value) __asm__ volatile("" : : "v"(value))
#elif defined(__x86_64__)
#define KEEP(value) __asm__ volatile("" : : "x"(value))
#else
#define KEEP(value) __asm__ volatile("" : : "w"(value))
#endif
#define LOAD(x) (*(const vec *)(x))
#define STORE(x, a) (*(vec *)(x) = (a))

/* n additions, each of which waits for the one before: a cycle each. */
void add_in_a_chain(ptrdiff_t n, uint64_t x)
{
    uint64_t sum = 0;
    for (ptrdiff_t i = 0; i < n; i += UNROLLED)
        for (int k = 0; k < UNROLLED; k++) {
            sum += x;
            __asm__ volatile("" : "+r"(sum));
        }
}

/* CHAINS n multiply-adds of vectors, of which CHAINS at a time do not wait for each other. */
void multiply_add(ptrdiff_t n, float x)
{
    vec sums[CHAINS];
    const vec factor = (vec){0} + x;
    for (int k = 0; k < CHAINS; k++)
        sums[k] = factor * (float)k;
    for (ptrdiff_t i = 0; i < n; i++)
        for (int k = 0; k < CHAINS; k++)
            sums[k] = sums[k] * factor + factor;
    for (int k = 0; k < CHAINS; k++)
        KEEP(sums[k]);
}

/* Reads n_floats, rounds times. */
void read_all(float *x, ptrdiff_t n_floats, ptrdiff_t rounds)
{
    for (ptrdiff_t r = 0; r < rounds; r++)
        for (ptrdiff_t i = 0; i < n_floats; i += UNROLLED * LENGTH)
            for (int k = 0; k < UNROLLED; k++) {
                const vec a = LOAD(x + i + k * LENGTH);
                KEEP(a);
            }
}

/* Writes n_floats, rounds times. */
void write_all(float *x, ptrdiff_t n_floats, ptrdiff_t rounds)
{
    const vec a = {0};
    for (ptrdiff_t r = 0; r < rounds; r++) {
        for (ptrdiff_t i = 0; i < n_floats; i += UNROLLED * LENGTH)
            for (int k = 0; k < UNROLLED; k++)
                STORE(x + i + k * LENGTH, a);
        __asm__ volatile("" : : "r"(x) : "memory");
    }
}

/* Visits n pairs of rows of two tables of n_rows each: the vector work of a rating, with nothing between product and
 * update: p q, p p and q q summed, then p <- keep p + g q and q <- keep q + g p. */
static inline __attribute__((always_inline)) void visit(ptrdiff_t n, int width, int n_rows, float *table_p, float *table_q,
                                                        float g)
{
    int u = 0, i = 0;
    const float keep = 1.0f - g;
    for (ptrdiff_t r = 0; r < n; r++) {
        float *restrict p = table_p + (size_t)u * width, *restrict q = table_q + (size_t)i * width;
        vec pq = {0}, pp = {0}, qq = {0};
        for (int j = 0; j < width; j += LENGTH) {
            const vec a = LOAD(p + j), b = LOAD(q + j);
            pq += a * b;
            pp += a * a;
            qq += b * b;
        }
        KEEP(pq);
        KEEP(pp);
        KEEP(qq);
        for (int j = 0; j < width; j += LENGTH) {
            const vec a = LOAD(p + j), b = LOAD(q + j);
            STORE(p + j, keep * a + g * b);
            STORE(q + j, keep * b + g * a);
        }
        u = u + 1 < n_rows ? u + 1 : 0;
        i = i + 5 < n_rows ? i + 5 : i + 5 - n_rows;
    }
}

void bare_loop(ptrdiff_t n, int width, int n_rows, float *p, float *q, float g)
{
    if (width == 32) /* a constant, so that the compiler unrolls */
        visit(n, 32, n_rows, p, q, g);
    else if (width == 64)
        visit(n, 64, n_rows, p, q, g);
    else
        visit(n, width, n_rows, p, q, g);
}
