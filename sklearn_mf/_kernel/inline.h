/* INLINE marks functions whose loops are compiled for the constants and the instruction set of each caller. Sanitizer
 * builds define it differently, because inlined and instrumented functions take minutes to compile. */
#ifndef INLINE
#if defined(__GNUC__) || defined(__clang__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif
#endif
