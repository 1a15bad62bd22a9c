/* INLINE: functions whose loops are compiled for the constants and the instruction set of each caller. The sanitizers'
 * build defines it otherwise: inlined and instrumented, these take minutes to compile. */
#ifndef INLINE
#if defined(__GNUC__) || defined(__clang__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif
#endif
