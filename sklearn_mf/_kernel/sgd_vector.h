/* The few vector operations that the loops use, for one instruction set. als.c, partners.c, precision.c and sgd.c include
 * this file once for each instruction set, with its name in SGD_SET. Then they include their loops.
 *
 *   vec, LENGTH             a vector of LENGTH floats
 *   load_part(x, n)         the n < LENGTH floats from x on, then zeros
 *   positive_part(a)        max(a, 0)
 *   sum_each(a, out)        out[t] = sum of the floats of a[t], for t < BATCH, in the same order for all t
 */
#undef TARGET
#undef LENGTH
#undef vec
#undef load
#undef load_part
#undef store
#undef multiply
#undef add
#undef subtract
#undef multiply_add
#undef broadcast
#undef positive_part
#define NAME_(name, set) name##_##set
#define NAME2(name, set) NAME_(name, set)
#define NAME(name) NAME2(name, SGD_SET)

#if SGD_WIDTH == 512

#define TARGET __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")))
#define LENGTH 16
#define vec __m512
#define load(x) _mm512_loadu_ps(x)
#define load_part(x, n) _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1u), x)
#define store(x, a) _mm512_storeu_ps(x, a)
#define multiply(a, b) _mm512_mul_ps(a, b)
#define add(a, b) _mm512_add_ps(a, b)
#define subtract(a, b) _mm512_sub_ps(a, b)
#define multiply_add(a, b, c) _mm512_fmadd_ps(a, b, c)
#define broadcast(x) _mm512_set1_ps(x)
#define positive_part(a) _mm512_max_ps(a, _mm512_setzero_ps())

#elif SGD_WIDTH == 256

#define TARGET __attribute__((target("avx2,fma")))
#define LENGTH 8
#define vec __m256
#define load(x) _mm256_loadu_ps(x)
#define load_part(x, n) _mm256_maskload_ps(x, _mm256_loadu_si256((const __m256i *)(first_of_eight + 8 - (n))))
#define store(x, a) _mm256_storeu_ps(x, a)
#define multiply(a, b) _mm256_mul_ps(a, b)
#define add(a, b) _mm256_add_ps(a, b)
#define subtract(a, b) _mm256_sub_ps(a, b)
#define multiply_add(a, b, c) _mm256_fmadd_ps(a, b, c)
#define broadcast(x) _mm256_set1_ps(x)
#define positive_part(a) _mm256_max_ps(a, _mm256_setzero_ps())

#else /* portable: vectors of four floats if the compiler supports them, otherwise single floats */

#define TARGET
#if defined(__GNUC__) || defined(__clang__)
#define LENGTH 4
typedef float four_floats __attribute__((vector_size(16), aligned(4), may_alias));
#define vec four_floats
#define broadcast(x) ((vec){(x), (x), (x), (x)})
#else
#define LENGTH 1
#define vec float
#define broadcast(x) (x)
#endif
#define load(x) (*(const vec *)(x))
#define load_part(x, n) NAME(load_first)(x, n)
#define store(x, a) (*(vec *)(x) = (a))
#define multiply(a, b) ((a) * (b))
#define add(a, b) ((a) + (b))
#define subtract(a, b) ((a) - (b))
#define multiply_add(a, b, c) ((a) * (b) + (c))
#define positive_part(a) NAME(larger_than_zero)(a)

#endif

#if LENGTH == 16

TARGET INLINE __m512 NAME(fold_pair)(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
}

TARGET INLINE void NAME(sum_each)(const vec *a, float *out)
{
    const __m512 ab = NAME(fold_pair)(a[0], a[1]), cd = NAME(fold_pair)(a[2], a[3]);
    __m512 t = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
    t = _mm512_add_ps(t, _mm512_permute_ps(t, 0x4E));
    t = _mm512_add_ps(t, _mm512_permute_ps(t, 0xB1));
    const __m512i firsts = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
    _mm_storeu_ps(out, _mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, t)));
}

#elif LENGTH == 8

TARGET INLINE void NAME(sum_each)(const vec *a, float *out)
{
    const __m256 ab = _mm256_hadd_ps(a[0], a[1]), cd = _mm256_hadd_ps(a[2], a[3]);
    const __m256 t = _mm256_hadd_ps(ab, cd);
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1)));
}

#else

INLINE vec NAME(larger_than_zero)(vec a)
{
    float x[LENGTH];
    store(x, a);
    for (int l = 0; l < LENGTH; l++)
        x[l] = x[l] > 0.0f ? x[l] : 0.0f;
    return load(x);
}

INLINE vec NAME(load_first)(const float *x, int n)
{
    float part[LENGTH] = {0.0f};
    for (int l = 0; l < n; l++)
        part[l] = x[l];
    return load(part);
}

INLINE void NAME(sum_each)(const vec *a, float *out)
{
    for (int t = 0; t < BATCH; t++) {
        out[t] = 0.0f;
        for (int l = 0; l < LENGTH; l++)
            out[t] += ((const float *)&a[t])[l];
    }
}

#endif
