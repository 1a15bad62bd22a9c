#include "hashing.h"
#include "inline.h"

#include <stdlib.h>
#include <string.h>

#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#endif

#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)0)
#endif

enum { BATCH = 32, FIRST_SLOTS = 1 << 12 };

/* Secrets of the process. Without knowing them, nobody can choose ids that collide. Codes do not depend on them. */
static uint64_t seeds[2] = {0x9e3779b97f4a7c15ULL, 0xc4ceb9fe1a85ec53ULL};

void hashing_seed(uint64_t first, uint64_t second)
{
    seeds[0] = first;
    seeds[1] = second;
}

/* Combines both halves of the 128-bit product, as in wyhash (Wang 2019). */
INLINE uint64_t mix_words(uint64_t a, uint64_t b)
{
#if defined(_MSC_VER) && defined(_M_X64)
    uint64_t high, low = _umul128(a, b, &high);
    return low ^ high;
#elif defined(__SIZEOF_INT128__)
    const unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    const uint64_t mask = 0xffffffffULL, a0 = a & mask, a1 = a >> 32, b0 = b & mask, b1 = b >> 32;
    const uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (middle & mask);
    return a * b ^ (a1 * b1 + (middle >> 32) + (other >> 32));
#endif
}

INLINE uint64_t hash_words(uint64_t a, uint64_t b, uint64_t length)
{
    return mix_words(a ^ seeds[0], (b ^ seeds[1]) + length);
}

INLINE uint64_t hash_key(const hashing_slot *key) { return hash_words(key->a, key->b, (uint64_t)key->length); }

uint64_t hashing_of_integer(uint64_t x) { return hash_words(x, 0, 8); }

static int start(hashing_table *table)
{
    table->n = 0;
    table->mask = FIRST_SLOTS - 1;
    table->slots = malloc(FIRST_SLOTS * sizeof(hashing_slot));
    table->first = malloc(FIRST_SLOTS / 2 * sizeof(int64_t));
    if (!table->slots || !table->first)
        return -1;
    for (int s = 0; s < FIRST_SLOTS; s++)
        table->slots[s].code = -1;
    return 0;
}

void hashing_free(hashing_table *table)
{
    free(table->slots);
    free(table->first);
}

static int grow(hashing_table *table)
{
    const uint64_t n_slots = 2 * (table->mask + 1);
    int64_t *first = realloc(table->first, n_slots / 2 * sizeof(int64_t));
    hashing_slot *slots = malloc(n_slots * sizeof(hashing_slot));
    if (first)
        table->first = first;
    if (!first || !slots) {
        free(slots);
        return -1;
    }
    for (uint64_t s = 0; s < n_slots; s++)
        slots[s].code = -1;
    for (uint64_t old = 0; old <= table->mask; old++)
        if (table->slots[old].code >= 0) {
            uint64_t s = hash_key(table->slots + old) & (n_slots - 1);
            while (slots[s].code >= 0)
                s = (s + 1) & (n_slots - 1);
            slots[s] = table->slots[old];
        }
    free(table->slots);
    table->slots = slots;
    table->mask = n_slots - 1;
    return 0;
}

INLINE uint64_t read_8(const char *x)
{
    uint64_t word;
    memcpy(&word, x, 8);
    return word;
}

INLINE uint64_t read_4(const char *x)
{
    uint32_t word;
    memcpy(&word, x, 4);
    return word;
}

INLINE hashing_slot string_key(const char *x, int64_t length)
{
    hashing_slot key = {0, 0, (int32_t)length, 0};
    if (length > 16) {
        key.a = seeds[1], key.b = seeds[0];
        for (int64_t done = 0; done < length; done += 8) {
            const uint64_t word = read_8(x + (done + 8 <= length ? done : length - 8));
            key.a = mix_words(key.a ^ word, seeds[0] | 1);
            key.b = mix_words(key.b ^ word, seeds[1] | 1);
        }
    }
    else if (length >= 8) {
        key.a = read_8(x);
        key.b = read_8(x + length - 8);
    }
    else if (length >= 4) {
        key.a = read_4(x);
        key.b = read_4(x + length - 4);
    }
    else if (length > 0)
        key.a = (uint64_t)(unsigned char)x[0] << 16 | (uint64_t)(unsigned char)x[length / 2] << 8 |
                (unsigned char)x[length - 1];
    return key;
}

/* If `offsets` is NULL, ids are the 8-byte integers at data + i * stride. Otherwise they are strings. */
INLINE int hash_column(ptrdiff_t n, const char *data, ptrdiff_t stride, const int64_t *offsets, int32_t *codes,
                       hashing_table *table)
{
    if (start(table))
        return -1;
    for (ptrdiff_t from = 0; from < n; from += BATCH) {
        const int size = (int)(n - from < BATCH ? n - from : BATCH);
        hashing_slot keys[BATCH];
        uint64_t hashes[BATCH];
        for (int i = 0; i < size; i++) {
            const ptrdiff_t r = from + i;
            if (offsets)
                keys[i] = string_key(data + offsets[r], offsets[r + 1] - offsets[r]);
            else
                keys[i] = (hashing_slot){read_8(data + r * stride), 0, 8, 0};
            hashes[i] = hash_key(keys + i);
            PREFETCH(table->slots + (hashes[i] & table->mask));
        }
        for (int i = 0; i < size; i++) {
            const ptrdiff_t r = from + i;
            uint64_t s = hashes[i] & table->mask;
            for (; table->slots[s].code >= 0; s = (s + 1) & table->mask) {
                const hashing_slot *slot = table->slots + s;
                if (slot->a != keys[i].a || slot->b != keys[i].b || slot->length != keys[i].length)
                    continue;
                const int64_t same = offsets && slot->length > 16 ? offsets[table->first[slot->code]] : -1;
                if (same < 0 || memcmp(data + same, data + offsets[r], slot->length) == 0)
                    break;
            }
            if (table->slots[s].code < 0) {
                if (table->n == INT32_MAX)
                    return -2;
                keys[i].code = (int32_t)table->n;
                table->slots[s] = keys[i];
                table->first[table->n++] = r;
                codes[r] = keys[i].code;
                if (table->n > (int64_t)(table->mask / 2) && grow(table))
                    return -1;
            }
            else
                codes[r] = table->slots[s].code;
        }
    }
    return 0;
}

int hashing_integers(ptrdiff_t n, const char *values, ptrdiff_t stride, int32_t *codes, hashing_table *table)
{
    return hash_column(n, values, stride, NULL, codes, table);
}

int hashing_strings(ptrdiff_t n, const char *data, const int64_t *offsets, int32_t *codes, hashing_table *table)
{
    return hash_column(n, data, 0, offsets, codes, table);
}
