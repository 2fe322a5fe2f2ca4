"""ctypes: calls, structures, callbacks, errno, dlopen; faults stay out."""

import ctypes
import ctypes.util
import threading

libc = ctypes.CDLL("libc.so.6", use_errno=True)
numbers = (ctypes.c_int * 10)(5, 3, 9, 1, 7, 2, 8, 0, 6, 4)
compare_type = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int)
)
libc.qsort(numbers, 10, ctypes.sizeof(ctypes.c_int), compare_type(lambda a, b: a[0] - b[0]))
print(list(numbers))


class Tm(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int)
        for name in ("sec", "min", "hour", "mday", "mon", "year", "wday", "yday", "isdst")
    ]
    _fields_ += [("gmtoff", ctypes.c_long), ("zone", ctypes.c_char_p)]


t = Tm()
libc.gmtime_r(ctypes.byref(ctypes.c_long(1_000_000_000)), ctypes.byref(t))
print(t.year + 1900, t.mon + 1, t.mday, t.hour, t.min, t.sec)
libm = ctypes.CDLL("libm.so.6")
libm.cos.restype = ctypes.c_double
libm.cos.argtypes = [ctypes.c_double]
print(libm.cos(1.0))
print(libc.open(b"/no/such", 0), ctypes.get_errno())
buffer = ctypes.create_string_buffer(64)
libc.snprintf(buffer, 64, b"%d %s %.2f", 42, b"text", ctypes.c_double(2.5))
print(buffer.value)
print(ctypes.string_at(ctypes.cast(ctypes.c_char_p(b"hello"), ctypes.c_void_p).value, 3))

thread_main = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
seen = []
callbacks = [
    thread_main(lambda n: seen.append((n or 0, threading.current_thread() is not None)) or 0)
    for _ in range(4)
]
ids = [ctypes.c_ulong() for _ in range(4)]
for i, (callback, tid) in enumerate(zip(callbacks, ids)):
    libc.pthread_create(ctypes.byref(tid), None, callback, ctypes.c_void_p(i))
for tid in ids:
    libc.pthread_join(tid, None)
print(sorted(seen))
