"""Hold rows of levels in chunks. A new version of a table copies only the chunks that it changes, and shares the others.

Tables point to pages, and pages point to chunks. Each page counts its tables, and each chunk counts its pages. A version
copies the pages whose chunks it changes. It increases the count of each other page.
"""

import numpy as np

cimport cython
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

CHUNK_BYTES = 1024  # largest size of a chunk. Small chunks need less copying, large chunks less counting
SMALLEST_PAGE_SHIFT = 8  # pages of 256 chunks
LARGEST_N_PAGES = 2048  # if there were more, pages get longer, because a version counts each page


cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* The largest bit pattern of the absolute values of a row, or `largest` if that is larger. NaN is above infinity. */
    enum { BITS_OF_INFINITY = 0x7f800000 };
    static int32_t larger_size(ptrdiff_t n, const float *row, int32_t largest)
    {
        for (ptrdiff_t j = 0; j < n; j++) {
            int32_t bits;
            memcpy(&bits, row + j, sizeof bits);
            bits &= 0x7fffffff;
            largest = bits > largest ? bits : largest;
        }
        return largest;
    }

    /* Stands before the rows of a chunk. It has 16 bytes, so that rows keep the alignment of malloc. */
    typedef struct {
        int64_t n_users; /* number of pages that have the chunk */
        int64_t made_by; /* number of the version that may write to it */
    } row_chunk;

    /* If the interpreter has a global lock, the lock protects counts and pools. */
    #ifdef Py_GIL_DISABLED
    enum { HAS_LOCK = 0 };
    #else
    enum { HAS_LOCK = 1 };
    #endif

    static int64_t count_by(int64_t *n, int64_t by)
    {
    #ifndef Py_GIL_DISABLED
        return *n += by;
    #elif defined(_MSC_VER)
        return _InterlockedExchangeAdd64(n, by) + by;
    #else
        return __atomic_add_fetch(n, by, __ATOMIC_ACQ_REL);
    #endif
    }
    """
    ctypedef struct row_chunk:
        int64_t n_users
        int64_t made_by

    int64_t count_by(int64_t *n, int64_t by) noexcept nogil
    int32_t larger_size(Py_ssize_t n, const float *row, int32_t largest) noexcept nogil
    int HAS_LOCK
    int32_t BITS_OF_INFINITY


cdef enum:
    SMALLEST_SLAB = 16  # number of chunks that are allocated together, at first
    LARGEST_SLAB = 1024

cdef int64_t n_versions = 0


cdef float nothing = 0.0  # address for rows without columns


cdef class ChunkPool:
    """Hold a pool of chunks of one size for the versions of a table. It is freed with the last version.

    A stream takes and gives back about one chunk per rating. With malloc, this would be a third of its time.
    """

    def __cinit__(self, size_t n_bytes):
        self.n_bytes, self.n_next = n_bytes, SMALLEST_SLAB

    def __dealloc__(self):
        cdef void *slab
        while self.slabs is not NULL:
            slab, self.slabs = self.slabs, (<void **>self.slabs)[0]
            free(slab)

    cdef void *take(self) except NULL:
        """Return memory for a chunk. It is not filled."""
        cdef void *room = self.first_free
        if not HAS_LOCK or room is NULL:
            room = self._make_room()
        if HAS_LOCK:
            self.first_free = (<void **>room)[0]
        return room

    cdef void give_back(self, void *room) noexcept:
        """Take back the memory of a chunk."""
        if not HAS_LOCK:
            free(room)
            return
        (<void **>room)[0] = self.first_free
        self.first_free = room

    cdef void *_make_room(self) except NULL:
        """Allocate several chunks, each with a pointer to the next one. Without a lock, allocate a single chunk."""
        cdef Py_ssize_t n = self.n_next if HAS_LOCK else 1, k
        cdef char *slab = <char *>malloc(n * self.n_bytes + (sizeof(row_chunk) if HAS_LOCK else 0))
        if slab is NULL:
            raise MemoryError
        if not HAS_LOCK:
            return slab
        (<void **>slab)[0], self.slabs = self.slabs, slab
        slab += sizeof(row_chunk)  # as large as the alignment
        for k in range(n):
            (<void **>(slab + k * self.n_bytes))[0] = slab + (k + 1) * self.n_bytes if k + 1 < n else NULL
        self.n_next = 2 * n if n < LARGEST_SLAB else n
        return slab


cdef inline row_chunk *head_of(const float *rows) noexcept nogil:
    return (<row_chunk *>rows) - 1


def all_finite(const float[:, :] rows):
    """Return whether all numbers of rows are finite."""
    cdef Py_ssize_t t, n_columns = rows.shape[1]
    cdef int32_t largest = 0
    if rows.shape[0] and n_columns > 1 and rows.strides[1] != sizeof(float):
        raise ValueError("The numbers of a row do not follow each other.")
    with nogil:
        for t in range(rows.shape[0] if n_columns else 0):
            largest = larger_size(n_columns, &rows[t, 0], largest)
    return largest < BITS_OF_INFINITY


@cython.no_gc_clear  # for __dealloc__
cdef class RowTable:
    """Hold a float32 row for each level. A table does not change after another object has received it.

    ``version`` makes a new version, with its own chunks for rows that change. It shares the other chunks. So readers of
    the old table keep the old rows, and the whole table is never copied.

    Parameters
    ----------
    array : float32 array (n_rows, n_columns) or (n_rows,), C-contiguous
        The rows. The table keeps the array and copies nothing.
    """

    def __init__(self, array):
        cdef const float[:, ::1] rows
        if array.dtype != np.float32 or array.ndim not in (1, 2) or not array.flags.c_contiguous:
            raise ValueError("A table of rows is made of a contiguous float32 array of one or two dimensions.")
        if self.table.pages is not NULL:
            raise ValueError("A table of rows is made once.")
        cdef Py_ssize_t n_rows = array.shape[0], n_columns = array.shape[1] if array.ndim == 2 else 1
        self.shape, self.n_rows = array.shape, n_rows
        self.table.n_columns, self.table.shift = n_columns, 0
        while (max(n_columns, 1) * sizeof(float)) << (self.table.shift + 1) <= CHUNK_BYTES:
            self.table.shift += 1
        self.table.page_shift = SMALLEST_PAGE_SHIFT
        while self.n_chunks() >> self.table.page_shift > LARGEST_N_PAGES:
            self.table.page_shift += 1
        self.origin, self.n_in_origin = array, self.n_chunks()
        self.table.whole = &nothing
        if array.size:
            rows = array.reshape(n_rows, n_columns)
            self.table.whole = <float *>&rows[0, 0]
        self.origin_start, self.origin_end = self.table.whole, self.table.whole + max(n_rows * n_columns, 1)

    def __dealloc__(self):
        cdef Py_ssize_t p
        if self.table.pages is NULL:
            return
        for p in range(self.n_pages()):
            if self.table.pages[p] is not NULL:
                self._release_page(self.table.pages[p])
        free(self.table.pages)

    def __len__(self):
        return self.n_rows

    def __reduce__(self):
        return RowTable, (self.whole(),)

    def __array__(self, dtype=None, copy=None):
        array = self.whole()
        if copy is None:  # which NumPy 1 does not know
            return np.asarray(array, dtype=dtype)
        return np.array(array, dtype=dtype, copy=copy)

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
        """Return all rows as one read-only array; rows in chunks are copied into it."""
        cdef Py_ssize_t k, lo, n_chunks, n_chunk = 1 << self.table.shift, n_rows = self.n_rows
        cdef float[:, ::1] to
        array = self.origin
        if self.table.pages is not NULL:
            array = np.empty(self.shape, dtype=np.float32)
            if array.size:
                to = array.reshape(n_rows, self.table.n_columns)
                n_chunks = self.n_chunks()
                with nogil:
                    for k in range(n_chunks):
                        lo = k * n_chunk
                        memcpy(&to[lo, 0], self.chunk_at(k), min(n_rows - lo, n_chunk) * self.table.n_columns * sizeof(float))
        array = array.view()
        array.flags.writeable = False
        return array

    def version(self, levels, Py_ssize_t n_rows):
        """Return a version with ``n_rows`` rows, at least as many as now. New rows are 0. Rows in ``levels`` may be written.

        ``levels`` are distinct, in rising order, and include all new rows. Without levels, return the table itself.
        """
        cdef const int64_t[::1] places = np.ascontiguousarray(levels, dtype=np.int64)
        cdef RowTable other = RowTable.__new__(RowTable)
        cdef Py_ssize_t n_old = self.n_rows, k, t, p, n_new = 0, previous = -1, previous_page = -1
        cdef row_page *page = NULL
        global n_versions
        if n_rows < n_old:
            raise ValueError("A version has no fewer rows than the table before.")
        other.shape, other.n_rows = (n_rows, *self.shape[1:]), n_rows
        other._check(places)
        for t in range(places.shape[0]):
            if t and places[t] <= places[t - 1]:
                raise ValueError("levels do not rise.")
            n_new += places[t] >= n_old
        if n_new < n_rows - n_old:
            raise ValueError("levels do not have all new rows.")
        if places.shape[0] == 0:
            return self
        other.table = self.table
        other.table.pages, other.table.whole = NULL, NULL
        other.origin, other.n_in_origin = self.origin, self.n_in_origin
        other.origin_start, other.origin_end = self.origin_start, self.origin_end
        other.pool = self.pool
        if other.pool is None:
            other.pool = ChunkPool(sizeof(row_chunk) + ((max(self.table.n_columns * sizeof(float), <size_t>1) << self.table.shift) + 15) // 16 * 16)
        other.number = count_by(&n_versions, 1)
        other._take_pages(self)
        for t in range(places.shape[0]):
            k = places[t] >> self.table.shift
            if k == previous:
                continue
            p, previous = k >> self.table.page_shift, k
            if p != previous_page:
                page, previous_page = other._own_page(p), p
            other._own_chunk(self, page, k)
        if other.n_in_origin == 0:
            other.origin, other.origin_start, other.origin_end = None, NULL, NULL  # to be freed
        return other

    def put(self, levels, values):
        """Write rows of a version that nobody else reads yet. ``version`` must have received these levels."""
        cdef const int64_t[::1] places = np.ascontiguousarray(levels, dtype=np.int64)
        self._check(places)
        given = np.broadcast_to(values, (places.shape[0], *self.shape[1:]))
        cdef const float[:, ::1] rows = np.ascontiguousarray(given, dtype=np.float32).reshape(
            places.shape[0], self.table.n_columns
        )
        cdef Py_ssize_t t
        cdef float *chunk
        for t in range(places.shape[0]):
            chunk = self.chunk_at(places[t] >> self.table.shift)
            if not self.is_counted(chunk) or head_of(chunk).made_by != self.number:
                raise ValueError("A row of the table is shared with other versions.")
            if self.table.n_columns:
                memcpy(row_at(&self.table, <int32_t>places[t]), &rows[t, 0], self.table.n_columns * sizeof(float))

    def add_up(self, levels, const double[::1] weights, places, double[:, ::1] out):
        """Add the rows of levels, times weights, to the rows of ``out`` at these places, in order."""
        cdef const int64_t[::1] rows = np.ascontiguousarray(levels, dtype=np.int64)
        cdef const int64_t[::1] to = np.ascontiguousarray(places, dtype=np.int64)
        cdef Py_ssize_t t
        cdef int j
        cdef const float *row
        cdef bint is_within = True
        self._check(rows)
        for t in range(to.shape[0]):
            is_within &= 0 <= to[t] < out.shape[0]
        if rows.shape[0] != weights.shape[0] or rows.shape[0] != to.shape[0] or out.shape[1] != self.table.n_columns:
            raise ValueError("levels, weights, places and out do not fit each other.")
        if not is_within:
            raise IndexError(f"A place is beyond the {out.shape[0]} rows of out.")
        with nogil:
            for t in range(rows.shape[0]):
                row = row_at(&self.table, <int32_t>rows[t])
                for j in range(self.table.n_columns):
                    out[to[t], j] += weights[t] * row[j]

    def are_finite(self, levels):
        """Return whether all numbers in the rows of these levels are finite."""
        cdef const int64_t[::1] places = np.ascontiguousarray(levels, dtype=np.int64)
        self._check(places)
        cdef Py_ssize_t t
        cdef int32_t largest = 0
        with nogil:
            for t in range(places.shape[0]):
                largest = larger_size(self.table.n_columns, row_at(&self.table, <int32_t>places[t]), largest)
        return largest < BITS_OF_INFINITY

    def n_bytes_beside(self, RowTable other):
        """Count the bytes of the chunks that it does not share with another version."""
        cdef Py_ssize_t k, n = 0
        for k in range(self.n_chunks()):
            if k >= other.n_chunks() or self.chunk_at(k) != other.chunk_at(k):
                n += min(self.n_rows - (k << self.table.shift), 1 << self.table.shift)
        return n * self.table.n_columns * sizeof(float)

    cdef Py_ssize_t n_chunks(self) noexcept:
        return (self.n_rows + (1 << self.table.shift) - 1) >> self.table.shift

    cdef Py_ssize_t n_pages(self) noexcept:
        return (self.n_chunks() + (1 << self.table.page_shift) - 1) >> self.table.page_shift

    cdef float *chunk_at(self, Py_ssize_t k) noexcept nogil:
        """Return the rows of chunk k."""
        if self.table.pages is NULL:
            return self.table.whole + (k << self.table.shift) * self.table.n_columns
        return self.table.pages[k >> self.table.page_shift].chunks[k & ((1 << self.table.page_shift) - 1)]

    cdef inline bint is_counted(self, const float *chunk) noexcept nogil:
        """Return whether a version made the chunk. Chunks of the original array are not counted."""
        return chunk is not NULL and not self.origin_start <= chunk < self.origin_end

    cdef _take_pages(self, RowTable before):
        """Share the pages of the previous table; make the missing ones."""
        cdef Py_ssize_t p, k, n_old = before.n_chunks(), n_page = 1 << self.table.page_shift
        self.table.pages = <row_page **>calloc(self.n_pages(), sizeof(row_page *))
        if self.table.pages is NULL:
            raise MemoryError
        for p in range(self.n_pages()):
            if before.table.pages is not NULL and p < before.n_pages():
                self.table.pages[p] = before.table.pages[p]
                count_by(&self.table.pages[p].n_users, 1)
                continue
            self.table.pages[p] = self._make_page()
            for k in range(p * n_page, min((p + 1) * n_page, n_old)):
                self.table.pages[p].chunks[k - p * n_page] = before.chunk_at(k)

    cdef row_page *_make_page(self) except NULL:
        """Make a page without chunks."""
        cdef size_t n_bytes = sizeof(int64_t) + (<size_t>1 << self.table.page_shift) * sizeof(float *)
        cdef row_page *page = <row_page *>calloc(1, n_bytes)
        if page is NULL:
            raise MemoryError
        page.n_users = 1
        return page

    cdef row_page *_own_page(self, Py_ssize_t p) except NULL:
        """Replace a shared page by a copy."""
        cdef row_page *shared = self.table.pages[p]
        cdef row_page *page
        cdef Py_ssize_t k, n_page = 1 << self.table.page_shift
        if count_by(&shared.n_users, 0) == 1:  # it was made for this version
            return shared
        page = self._make_page()
        memcpy(page.chunks, shared.chunks, n_page * sizeof(float *))
        for k in range(n_page):
            if self.is_counted(page.chunks[k]):
                count_by(&head_of(page.chunks[k]).n_users, 1)
        self.table.pages[p] = page
        self._release_page(shared)
        return page

    cdef _own_chunk(self, RowTable before, row_page *page, Py_ssize_t k):
        """Replace a chunk by a copy. Rows that are new are 0."""
        cdef size_t n_row = self.table.n_columns * sizeof(float), n_chunk = <size_t>1 << self.table.shift, n_copied
        cdef row_chunk *head = <row_chunk *>self.pool.take()
        cdef Py_ssize_t place = k & ((1 << self.table.page_shift) - 1), n_before = before.n_rows - k * n_chunk
        cdef float *shared = page.chunks[place]
        head.n_users, head.made_by = 1, self.number
        n_copied = min(max(n_before, 0), <Py_ssize_t>n_chunk) * n_row
        if n_copied:
            memcpy(head + 1, shared, n_copied)
        memset(<char *>(head + 1) + n_copied, 0, n_chunk * n_row - n_copied)
        page.chunks[place] = <float *>(head + 1)
        if self.is_counted(shared):
            self._release_chunk(shared)
        elif n_before > 0:
            self.n_in_origin -= 1

    cdef void _release_page(self, row_page *page) noexcept:
        """Lower the count of a page. If no table uses it, free it, and release its chunks."""
        cdef Py_ssize_t k
        if count_by(&page.n_users, -1) > 0:
            return
        for k in range(1 << self.table.page_shift):
            if self.is_counted(page.chunks[k]):
                self._release_chunk(page.chunks[k])
        free(page)

    cdef void _release_chunk(self, float *chunk) noexcept:
        """Lower the count of a chunk. If no page uses it, free it."""
        if count_by(&head_of(chunk).n_users, -1) == 0:
            self.pool.give_back(head_of(chunk))

    cdef _check(self, const int64_t[::1] levels):
        cdef Py_ssize_t t, n_rows = self.n_rows
        cdef bint is_within = True
        for t in range(levels.shape[0]):
            is_within &= 0 <= levels[t] < n_rows
        if not is_within:
            raise IndexError(f"A level is beyond the {n_rows} rows of the table.")
