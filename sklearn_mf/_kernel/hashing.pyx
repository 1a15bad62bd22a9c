"""Turn a column of ids into codes: with tables for dense integers, and hashing for other integers and strings.

Codes are int32. Hashing gives codes in the order of first appearance. Python then sorts the levels, which are few.
"""

import os

import numpy as np

from cpython.object cimport Py_EQ, PyObject_Hash, PyObject_RichCompareBool
from cpython.ref cimport PyObject
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t, uintptr_t

cdef extern from "Python.h":
    bint PyUnicode_CheckExact(PyObject *)

ctypedef fused integer:
    int32_t
    int64_t


cdef int _check_length(Py_ssize_t n, Py_ssize_t expected) except -1:
    if n != expected:
        raise ValueError(f"An array has {n} elements, not {expected}.")
    return 0


def integer_range(const integer[:] values):
    """Find the smallest and the largest value; 0 and -1 if there are no values."""
    cdef Py_ssize_t r
    if values.shape[0] == 0:
        return 0, -1
    cdef integer low = values[0], high = values[0], x
    with nogil:
        for r in range(values.shape[0]):
            x = values[r]
            low = x if x < low else low
            high = x if x > high else high
    return int(low), int(high)


def mark_integers(const integer[:] values, int64_t low, int32_t[::1] table):
    """Set ``table[value - low]`` to 1 for each value; skip values beyond the table."""
    cdef Py_ssize_t r
    cdef uint64_t place, size = table.shape[0]
    with nogil:
        for r in range(values.shape[0]):
            place = <uint64_t>values[r] - <uint64_t>low
            if place < size:
                table[place] = 1


def look_up_integers(const integer[:] values, int64_t low, const int32_t[::1] table, int32_t[:] out):
    """Fill ``out`` with ``table[value - low]``, or -1 for values beyond the table."""
    cdef Py_ssize_t r
    cdef uint64_t place, size = table.shape[0]
    _check_length(out.shape[0], values.shape[0])
    with nogil:
        for r in range(values.shape[0]):
            place = <uint64_t>values[r] - <uint64_t>low
            out[r] = table[place] if place < size else -1


def find_integers(const integer[:] values, const int64_t[::1] levels, const int64_t[::1] sorter, int32_t[:] out):
    """Fill ``out`` with the place of each value in the levels, or -1. ``sorter`` sorts the levels; None: they are sorted."""
    cdef Py_ssize_t r, n = levels.shape[0]
    cdef const int64_t *place_of = NULL
    cdef int64_t low, size, place
    cdef bint is_within = True
    _check_length(out.shape[0], values.shape[0])
    if sorter is not None:
        _check_length(sorter.shape[0], n)
        place_of = &sorter[0] if n else NULL
    with nogil:
        for r in range(values.shape[0]):
            low, size = 0, n
            while size > 0:  # search among `size` levels from `low` on: the last one that is not larger
                place = low + size // 2
                if place_of is not NULL:
                    place = place_of[place]
                    is_within &= 0 <= place < n
                    place = place if is_within else 0
                if size == 1:
                    out[r] = <int32_t>place if levels[place] == values[r] else -1
                    break
                low += size // 2 if levels[place] <= values[r] else 0
                size -= size // 2
            if n == 0:
                out[r] = -1
    if not is_within:
        raise IndexError("sorter is beyond the levels.")


def floats_as_integers(const double[:] values, int64_t[::1] out):
    """Convert values to int64; return whether all of them are whole numbers that fit."""
    cdef Py_ssize_t r
    cdef double x
    cdef bint whole = True
    _check_length(out.shape[0], values.shape[0])
    with nogil:
        for r in range(values.shape[0]):
            x = values[r]
            whole = -9223372036854775808.0 <= x < 9223372036854775808.0  # False for NaN
            if not whole:
                break
            out[r] = <int64_t>x
            whole = <double>out[r] == x
            if not whole:
                break
    return whole


cdef extern from "hashing.h" nogil:
    ctypedef struct hashing_table:
        int64_t *first
        int64_t n

    int hashing_integers(ptrdiff_t n, const char *values, ptrdiff_t stride, int32_t *codes, hashing_table *table)
    int hashing_strings(ptrdiff_t n, const char *data, const int64_t *offsets, int32_t *codes, hashing_table *table)
    void hashing_free(hashing_table *table)
    void hashing_seed(uint64_t first, uint64_t second)
    uint64_t hashing_of_integer(uint64_t x)


cdef uint64_t[::1] secrets = np.frombuffer(os.urandom(16), dtype=np.uint64).copy()
hashing_seed(secrets[0], secrets[1])


def hash_of_integer(int64_t value):
    """Return the hash of an id. It depends on the process, so that nobody can choose ids that collide."""
    return hashing_of_integer(<uint64_t>value)


cdef take_first(int failed, hashing_table *table):
    """Return the rows of first appearance, int64 (n_levels,), and free the table."""
    try:
        if failed == -2:
            raise ValueError("A column of X has 2**31 levels or more.")
        if failed:
            raise MemoryError
        first = np.empty(table.n, dtype=np.int64)
        if table.n:
            first[:] = <int64_t[:table.n]>table.first
        return first
    finally:
        hashing_free(table)


def hash_integers(const int64_t[:] values, int32_t[::1] codes):
    """Fill ``codes``; return the row of the first appearance of each level, int64 (n_levels,)."""
    cdef hashing_table table
    cdef int failed
    _check_length(codes.shape[0], values.shape[0])
    if values.shape[0] == 0:
        return np.empty(0, dtype=np.int64)
    with nogil:
        failed = hashing_integers(values.shape[0], <const char *>&values[0], values.strides[0], &codes[0], &table)
    return take_first(failed, &table)


def hash_bytes(const uint8_t[::1] data, const int64_t[::1] offsets, int32_t[::1] codes):
    """Fill ``codes`` for the strings ``data[offsets[i]:offsets[i + 1]]``; return the first row of each level."""
    cdef hashing_table table
    cdef int failed
    cdef const char *text = <const char *>&data[0] if data.shape[0] else NULL
    _check_length(offsets.shape[0], codes.shape[0] + 1)
    cdef Py_ssize_t r
    cdef bint is_rising = offsets[0] >= 0 and offsets[codes.shape[0]] <= data.shape[0]
    with nogil:
        for r in range(codes.shape[0]):
            is_rising &= offsets[r] <= offsets[r + 1]
    if not is_rising:
        raise IndexError("offsets do not rise within the data.")
    with nogil:
        failed = hashing_strings(codes.shape[0], text, &offsets[0], &codes[0], &table)
    return take_first(failed, &table)


cdef class _Slots:
    """Keep codes in a hash table with open addressing. -1 is a free slot. The table is at most half full."""

    cdef int32_t[::1] code
    cdef uint64_t[::1] hash_of
    cdef uint64_t mask
    cdef Py_ssize_t n

    def __cinit__(self):
        self.code = np.full(2**12, -1, dtype=np.int32)
        self.hash_of = np.empty(2**11, dtype=np.uint64)
        self.mask = self.code.shape[0] - 1
        self.n = 0

    cdef int insert(self, uint64_t slot, uint64_t h) except -1:
        """Give the free ``slot`` the next code."""
        cdef uint64_t s
        cdef Py_ssize_t t
        if self.n >= 2**31 - 1:
            raise ValueError("A column of X has 2**31 levels or more.")
        self.code[slot] = self.n
        self.hash_of[self.n] = h
        self.n += 1
        if self.n == self.hash_of.shape[0]:
            hashes = np.empty(2 * self.n, dtype=np.uint64)
            hashes[: self.n] = self.hash_of
            self.hash_of = hashes
            self.code = np.full(4 * self.n, -1, dtype=np.int32)
            self.mask = self.code.shape[0] - 1
            for t in range(self.n):
                s = self.hash_of[t] & self.mask
                while self.code[s] >= 0:
                    s = (s + 1) & self.mask
                self.code[s] = t
        return 0


def hash_strings(values, int32_t[::1] codes):
    """Fill ``codes`` for an object array (n,); return the levels as a list in the order of first appearance.

    Return None if the type of a value is not exactly ``str``.
    """
    if values.dtype != object or values.ndim != 1:
        raise TypeError(f"An array of {values.ndim} dimensions and {values.dtype} is not a column of objects.")
    cdef _Slots slots = _Slots()
    cdef list levels = []
    cdef char *data = <char *><uintptr_t>values.ctypes.data
    cdef Py_ssize_t stride = values.strides[0], n = values.shape[0], r
    cdef PyObject *value
    cdef object level
    cdef uint64_t h, slot
    cdef int32_t code
    _check_length(codes.shape[0], n)
    for r in range(n):
        value = (<PyObject **>(data + r * stride))[0]
        if value is NULL or not PyUnicode_CheckExact(value):
            return None
        h = hashing_of_integer(<uint64_t>PyObject_Hash(<object>value))
        slot = h & slots.mask
        code = slots.code[slot]
        while code >= 0:
            if slots.hash_of[code] == h:
                level = levels[code]
                if <PyObject *>level is value or PyObject_RichCompareBool(level, <object>value, Py_EQ):
                    break
            slot = (slot + 1) & slots.mask
            code = slots.code[slot]
        if code < 0:
            code = <int32_t>slots.n
            levels.append(<object>value)
            slots.insert(slot, h)
        codes[r] = code
    return levels
