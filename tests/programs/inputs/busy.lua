-- Traces that are compiled, coroutines, the foreign function interface, files.
local sum = 0
for i = 1, 2e7 do sum = (sum + i * 7) % 1000003 end
print('sum', sum)
local produce = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
print('coroutine', produce(), produce(), produce())
local ffi = require('ffi')
ffi.cdef('int getpid(void); typedef int (*compare)(const int *, const int *); void qsort(int *, size_t, size_t, compare);')
local numbers = ffi.new('int[5]', {5, 3, 1, 4, 2})
ffi.C.qsort(numbers, 5, 4, ffi.cast('compare', function(a, b) return a[0] - b[0] end))
print('ffi', ffi.C.getpid() > 0, numbers[0], numbers[1], numbers[4])
local file = assert(io.open('text', 'w'))
for i = 1, 10000 do file:write(i, '\n') end
file:close()
local lines = 0
for _ in io.lines('text') do lines = lines + 1 end
print('lines', lines, pcall(error, 'caught'))
