# What other extension modules see of RowTable.

from libc.stdint cimport int32_t, int64_t


cdef extern from "rows.h" nogil:
    ctypedef struct row_table:
        float *whole
        float **chunks
        int shift
        int n_columns

    float *row_at(const row_table *table, int32_t row)


cdef class RowTable:
    cdef readonly tuple shape
    cdef row_table table
    cdef object origin  # the array that the table or the first of its versions was made of; None when no row is in it
    cdef Py_ssize_t n_in_origin  # chunks that are in it
    cdef bint is_whole  # whether all rows are those of the origin
    cdef list chunks  # an array for each that is not in the origin, else None
    cdef set own_chunks  # numbers of those that the versions before do not have

    cdef Py_ssize_t n_chunks(self)
    cdef _allocate(self, Py_ssize_t n_chunks)
    cdef _check(self, const int64_t[::1] levels)

