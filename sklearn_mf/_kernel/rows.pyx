"""Hold rows of levels in chunks, so that another version of a table shares all chunks but those that it changes."""

import numpy as np

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

SMALLEST_SHIFT = 8  # chunks of 256 rows
LARGEST_N_CHUNKS = 2048  # beyond, chunks are longer: a version copies a number for each chunk


cdef class RowTable:
    """Hold a float32 row for each level; a table does not change once another object has it.

    A version is made with ``version``: it has chunks of its own where its rows change, and shares the others. So
    whoever reads the table before keeps what it had, and nobody copies the whole.

    Parameters
    ----------
    array : float32 array (n_rows, n_columns) or (n_rows,), C-contiguous
        The rows. The table keeps the array and copies nothing.
    """

    def __init__(self, array):
        cdef const float[:, ::1] rows
        if array.dtype != np.float32 or array.ndim not in (1, 2) or not array.flags.c_contiguous:
            raise ValueError("A table of rows is made of a contiguous float32 array of one or two dimensions.")
        self.shape = array.shape
        cdef Py_ssize_t n_rows = array.shape[0], k
        self.table.n_columns = array.shape[1] if array.ndim == 2 else 1
        self.table.shift = SMALLEST_SHIFT
        while n_rows >> self.table.shift > LARGEST_N_CHUNKS:
            self.table.shift += 1
        self._allocate(self.n_chunks())
        self.origin, self.is_whole, self.chunks = array, True, [None] * self.n_chunks()
        self.n_in_origin = self.n_chunks()
        self.own_chunks = set()
        cdef float *first = NULL
        if array.size:
            rows = array.reshape(n_rows, self.table.n_columns)
            first = self.table.whole = <float *>&rows[0, 0]
        for k in range(self.n_chunks()):
            self.table.chunks[k] = first + (k << self.table.shift) * self.table.n_columns

    def __dealloc__(self):
        free(self.table.chunks)

    def __len__(self):
        return self.shape[0]

    def __reduce__(self):
        return RowTable, (self.whole(),)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.whole(), dtype=dtype, copy=copy)

    def __getitem__(self, levels):
        """Copy the rows of an array of levels."""
        cdef const int64_t[::1] places = np.ascontiguousarray(levels, dtype=np.int64)
        self._check(places)
        out = np.empty((places.shape[0], *self.shape[1:]), dtype=np.float32)
        cdef float[:, ::1] to = out.reshape(places.shape[0], self.table.n_columns)
        cdef Py_ssize_t t
        if out.size:
            with nogil:
                for t in range(places.shape[0]):
                    memcpy(&to[t, 0], row_at(&self.table, <int32_t>places[t]), self.table.n_columns * sizeof(float))
        return out

    def whole(self):
        """Give all rows as one array that cannot be written to; a table of several versions is put together for it."""
        cdef Py_ssize_t k, lo, hi, n_chunk = 1 << self.table.shift
        array = self.origin
        if not self.is_whole:
            array = np.empty(self.shape, dtype=np.float32)
            for k, chunk in enumerate(self.chunks):
                lo, hi = k * n_chunk, min((k + 1) * n_chunk, self.shape[0])
                array[lo:hi] = self.origin[lo:hi] if chunk is None else chunk[: hi - lo]
        array = array.view()
        array.flags.writeable = False
        return array

    def version(self, levels, Py_ssize_t n_rows):
        """Give a table of ``n_rows`` rows, at least as many, whose rows of ``levels`` may be written to; new ones are 0.

        ``levels`` rise, each once, and have all rows that are new.
        """
        cdef const int64_t[::1] places = np.ascontiguousarray(levels, dtype=np.int64)
        cdef RowTable other = RowTable.__new__(RowTable)
        cdef Py_ssize_t n_old = self.n_chunks(), n_chunk = 1 << self.table.shift, n_row = self.table.n_columns
        cdef Py_ssize_t k, t, previous = -1, n_new = 0
        cdef float[:, ::1] rows
        if n_rows < self.shape[0]:
            raise ValueError("A version has no fewer rows than the table before.")
        other.shape, other.table = (n_rows, *self.shape[1:]), self.table
        other.table.chunks = NULL
        other._check(places)
        other._allocate(other.n_chunks())
        memcpy(other.table.chunks, self.table.chunks, n_old * sizeof(float *))
        other.origin, other.chunks = self.origin, self.chunks + [None] * (other.n_chunks() - n_old)
        other.n_in_origin = self.n_in_origin
        other.own_chunks = set()
        other.is_whole = self.is_whole and places.shape[0] == 0
        if not other.is_whole:
            other.table.whole = NULL
        for t in range(places.shape[0]):
            if t and places[t] <= places[t - 1]:
                raise ValueError("levels do not rise.")
            k = places[t] >> self.table.shift
            n_new += places[t] >= self.shape[0]
            if k == previous:
                continue
            previous = k
            chunk = np.zeros((n_chunk, *self.shape[1:]), dtype=np.float32)
            other.table.chunks[k] = NULL
            if n_row:
                rows = chunk.reshape(n_chunk, n_row)
                if k < n_old:
                    memcpy(&rows[0, 0], self.table.chunks[k],
                           min(self.shape[0] - k * n_chunk, n_chunk) * n_row * sizeof(float))
                other.table.chunks[k] = &rows[0, 0]
            other.n_in_origin -= k < n_old and other.chunks[k] is None
            other.chunks[k] = chunk
            other.own_chunks.add(k)
        if other.n_in_origin == 0 and not other.is_whole:
            other.origin = None  # to be freed
        if n_new < n_rows - self.shape[0]:
            raise ValueError("levels do not have all new rows.")
        return other

    def put(self, levels, values):
        """Write rows of a version that nobody else reads yet, whose levels were given when it was made."""
        cdef const int64_t[::1] places = np.ascontiguousarray(levels, dtype=np.int64)
        self._check(places)
        given = np.broadcast_to(values, (places.shape[0], *self.shape[1:]))
        cdef const float[:, ::1] rows = np.ascontiguousarray(given, dtype=np.float32).reshape(
            places.shape[0], self.table.n_columns
        )
        cdef Py_ssize_t t
        for t in range(places.shape[0]):
            if places[t] >> self.table.shift not in self.own_chunks:
                raise ValueError("A row of the table is shared with other versions.")
            if self.table.n_columns:
                memcpy(row_at(&self.table, <int32_t>places[t]), &rows[t, 0], self.table.n_columns * sizeof(float))

    def n_bytes_beside(self, RowTable other):
        """Count the bytes of the chunks that it does not share with another version of it."""
        cdef Py_ssize_t k, n = 0
        for k in range(self.n_chunks()):
            if k >= other.n_chunks() or self.table.chunks[k] != other.table.chunks[k]:
                n += min(self.shape[0] - (k << self.table.shift), 1 << self.table.shift)
        return n * self.table.n_columns * sizeof(float)

    cdef Py_ssize_t n_chunks(self):
        return (<Py_ssize_t>self.shape[0] + (1 << self.table.shift) - 1) >> self.table.shift

    cdef _allocate(self, Py_ssize_t n_chunks):
        self.table.chunks = <float **>malloc((n_chunks + 1) * sizeof(float *))
        if self.table.chunks is NULL:
            raise MemoryError

    cdef _check(self, const int64_t[::1] levels):
        cdef Py_ssize_t t, n_rows = self.shape[0]
        cdef bint is_within = True
        for t in range(levels.shape[0]):
            is_within &= 0 <= levels[t] < n_rows
        if not is_within:
            raise IndexError(f"A level is beyond the {n_rows} rows of the table.")

