# Declarations of RowTable for other extension modules.

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t


cdef extern from "rows.h" nogil:
    ctypedef struct row_page:
        int64_t n_users
        float *chunks[1]  # in fact as many as the page has

    ctypedef struct row_table:
        float *whole
        row_page **pages
        int shift
        int page_shift
        int n_columns

    float *row_at(const row_table *table, int32_t row)


cdef class ChunkPool:
    cdef size_t n_bytes
    cdef Py_ssize_t n_next
    cdef void *first_free
    cdef void *slabs

    cdef void *take(self) except NULL
    cdef void give_back(self, void *room) noexcept
    cdef void *_make_room(self) except NULL


cdef class RowTable:
    cdef readonly tuple shape
    cdef Py_ssize_t n_rows
    cdef row_table table
    cdef object origin  # the array of the first version; None if no row of this table is in it
    cdef float *origin_start
    cdef float *origin_end
    cdef Py_ssize_t n_in_origin  # number of chunks in that array
    cdef ChunkPool pool  # shared by all versions
    cdef int64_t number  # number of the version; its own chunks are marked with it

    cdef Py_ssize_t n_chunks(self) noexcept
    cdef Py_ssize_t n_pages(self) noexcept
    cdef float *chunk_at(self, Py_ssize_t k) noexcept nogil
    cdef bint is_counted(self, const float *chunk) noexcept nogil
    cdef _take_pages(self, RowTable before)
    cdef row_page *_make_page(self) except NULL
    cdef row_page *_own_page(self, Py_ssize_t p) except NULL
    cdef _own_chunk(self, RowTable before, row_page *page, Py_ssize_t k)
    cdef void _release_page(self, row_page *page) noexcept
    cdef void _release_chunk(self, float *chunk) noexcept
    cdef _check(self, const int64_t[::1] levels)
