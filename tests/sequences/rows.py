"""Calls with arguments that work, from which spoiled ones and sequences are made.

Key types: `Row` is a call, `Argument` one argument: its kind and the value that works. A kind says
how it may be spoiled. All addresses are the puppet's, which are fixed.

| kind | what it is | written |
|---|---|---|
| fd | a descriptor of the puppet | `f3` |
| path | a path in the puppet's folder | `p:f` |
| into | memory that the call fills, with its size | `o:64` |
| from | memory that the call reads, little-endian words of 8 bytes or of N | `i:1,4=2` |
| length | a number of bytes | `l:64` |
| size | the size of a structure | `z:88` |
| flags | bits | `g:0` |
| process | a process or thread: itself, or none that may exist | `q:0` |
| number | anything else | `n:0` |
| map | an address of a mapping that may be lost | `m:0` |
| fixed | never another value: it would wait, or be dangerous | `x:0` |
"""

from __future__ import annotations

import dataclasses
import functools
import struct
from pathlib import Path

ARENA = 0x10020000000
READ_ONLY = 0x10020200000
EDGE_END = 0x10020301000
SLOTS = 0x10021000000
PAGE = 4096

# The call, then its arguments. A comment after # says why something is fixed.
_ROWS = """
read f3 o:64 l:64
write f3 o:64 l:64
open p:f g:2 n:0644
close f4
stat p:f o:144
fstat f3 o:144
lstat p:l o:144
poll i:4=3/2=1/2=0 n:1 x:0
lseek f3 n:5 n:0
mmap m:0 l:4096 g:3 g:0x22 n:-1 n:0
mprotect m:0 l:4096 g:1
munmap m:0 l:4096
rt_sigaction n:10 i:0,0,0,0 o:32 z:8
rt_sigprocmask n:0 i:0x800 o:8 z:8
ioctl f8 n:0x541b o:4
pread64 f3 o:64 l:64 n:10
pwrite64 f3 o:64 l:64 n:10
readv f3 i:0x10020000000,64 n:1
writev f3 i:0x10020000000,64 n:1
access p:f n:4
pipe o:8
select n:5 o:128 x:0 x:0 i:0,0
sched_yield
mremap m:0 l:4096 l:8192 g:1 m:0
msync m:0 l:4096 g:4
mincore m:0 l:4096 o:16
madvise m:0 l:4096 n:4
dup f3
dup2 f3 n:40
getpid
nanosleep i:0,1000 o:16
getitimer n:0 o:32
alarm x:0
sendfile f5 f3 i:0 l:100
socketpair n:1 g:1 n:0 o:8
shutdown f13 n:1
sendto f13 o:16 l:16 g:0 x:0 x:0
recvfrom f13 o:16 l:16 g:0x40 x:0 x:0
sendmsg f13 i:0,0,0x10020000100,0,0,0,0 g:0
recvmsg f13 i:0,0,0x10020000100,0,0,0,0 g:0x40
getsockname f13 o:110 i:4=110
getpeername f13 o:110 i:4=110
setsockopt f13 n:1 n:7 i:4=4096 l:4
getsockopt f13 n:1 n:3 o:4 i:4=4
wait4 q:-1 o:4 g:1 o:144
kill x:0 x:0
uname o:390
fcntl f3 n:1 n:0
flock f3 n:2
fsync f3
fdatasync f3
truncate p:f l:100
ftruncate f3 l:100
getdents f6 o:512 l:512
getcwd o:256 l:256
chdir p:d
fchdir f6
rename p:f p:n
mkdir p:n n:0755
rmdir p:d
creat p:n n:0644
link p:f p:n
unlink p:f
symlink p:f p:n
readlink p:l o:64 l:64
chmod p:f n:0600
fchmod f3 n:0600
chown p:f n:-1 n:-1
fchown f3 n:-1 n:-1
lchown p:l n:-1 n:-1
umask n:022
gettimeofday x:0 o:8
getrlimit n:7 o:16
getrusage n:0 o:144
sysinfo o:112
times o:32
getuid
getgid
setuid n:65534
setgid n:65534
geteuid
getegid
setpgid q:0 q:-1
setreuid n:-1 n:-1
setregid n:-1 n:-1
getgroups n:8 o:64
setgroups n:1 o:4
setresuid n:-1 n:-1 n:-1
getresuid o:4 o:4 o:4
setresgid n:-1 n:-1 n:-1
getresgid o:4 o:4 o:4
getpgid q:0
setfsuid n:65534
setfsgid n:65534
getsid q:0
capget i:4=0x20080522/4=0 o:24
capset i:4=0x20080522/4=0 i:0,0,0
rt_sigpending o:8 z:8
rt_sigtimedwait i:0x800 o:128 i:0,1000 z:8
rt_sigqueueinfo q:-1 n:0 i:0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
rt_sigsuspend i:0 z:8
sigaltstack i:0x10020010000,4=0/4=0,65536 o:24
utime p:f i:1,2
mknod p:n n:0100644 n:0
statfs p:f o:120
fstatfs f3 o:120
getpriority x:0 q:0
setpriority x:0 q:0 n:5
sched_setparam q:0 i:4=0
sched_getparam q:0 o:4
sched_setscheduler q:0 n:0 i:4=0
sched_getscheduler q:0
sched_get_priority_max n:1
sched_get_priority_min n:1
sched_rr_get_interval q:0 o:16
mlock m:0 l:4096
munlock m:0 l:4096
mlockall g:1
munlockall
prctl n:3 n:0 n:0 n:0 n:0
adjtimex i:0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
setrlimit x:4 i:0,0
chroot p:d
settimeofday i:1,1 x:0
mount p:f p:d p:f g:0 x:0
umount2 p:d g:0
sethostname i:0 l:4
gettid
readahead f3 n:0 l:4096
setxattr p:f i:0x612e72657375 i:0x61 l:1 g:0
getxattr p:f i:0x612e72657375 o:16 l:16
listxattr p:f o:64 l:64
removexattr p:f i:0x612e72657375
fsetxattr f3 i:0x612e72657375 i:0x61 l:1 g:0
fgetxattr f3 i:0x612e72657375 o:16 l:16
flistxattr f3 o:64 l:64
fremovexattr f3 i:0x612e72657375
tkill q:-1 n:0
time o:8
futex o:4 n:1 n:1 x:0 n:0 n:0
sched_getaffinity q:0 l:128 o:128
epoll_create n:1
remap_file_pages m:0 l:4096 n:0 n:0 g:0
getdents64 f6 o:512 l:512
fadvise64 f3 n:0 n:100 n:0
timer_create n:1 i:0,4=0/4=1,0,0,0,0,0,0 o:4
timer_settime n:99 g:0 i:0,0,0,0 o:32
timer_gettime n:99 o:32
timer_getoverrun n:99
timer_delete n:99
clock_settime n:0 i:1,1
clock_gettime n:1 o:16
clock_getres n:1 o:16
clock_nanosleep n:1 g:0 i:0,1000 o:16
epoll_wait f11 o:48 n:4 x:0
epoll_ctl f11 n:1 f8 i:4=1/4=5/4=0
tgkill q:-1 q:-1 n:0
utimes p:f i:1,2,3,4
mbind m:0 l:4096 n:0 x:0 n:0 g:0
set_mempolicy n:0 x:0 n:0
get_mempolicy o:4 o:8 n:64 m:0 g:0
waitid n:0 q:0 o:128 g:5 o:144
ioprio_set x:1 q:0 n:0
ioprio_get x:1 q:0
inotify_init
inotify_init1 g:0
inotify_add_watch f3 p:d g:2
inotify_rm_watch f3 n:1
openat f6 p:f g:2 n:0644
mkdirat f6 p:n n:0755
mknodat f6 p:n n:0100644 n:0
fchownat f6 p:f n:-1 n:-1 g:0
futimesat f6 p:f i:1,2,3,4
newfstatat f6 p:f o:144 g:0
unlinkat f6 p:f g:0
renameat f6 p:f f6 p:n
linkat f6 p:f f6 p:n g:0
symlinkat p:f f6 p:n
readlinkat f6 p:l o:64 l:64
fchmodat f6 p:f n:0600
faccessat f6 p:f n:4
pselect6 n:5 o:128 x:0 x:0 i:0,0 i:0,8
ppoll i:4=3/2=1/2=0 n:1 i:0,0 i:0 z:8
unshare x:0
set_robust_list x:0 z:24
get_robust_list q:0 o:8 o:8
splice f3 i:0 f18 x:0 l:100 g:0
tee f8 f18 l:100 g:0
sync_file_range f3 n:0 n:100 g:1
vmsplice f18 i:0x10020000000,64 n:1 g:0
utimensat f6 p:f i:1,2,3,4 g:0
epoll_pwait f11 o:48 n:4 x:0 i:0 z:8
signalfd f16 i:0x800 z:8
timerfd_create n:1 g:0
eventfd n:1
fallocate f3 g:0 n:0 l:100
timerfd_settime f12 g:0 i:0,0,5,0 o:32
timerfd_gettime f12 o:32
signalfd4 f16 i:0x800 z:8 g:0
eventfd2 n:1 g:0
epoll_create1 g:0
dup3 f3 n:40 g:0
pipe2 o:8 g:0
preadv f3 i:0x10020000000,64 n:1 n:0 n:0
pwritev f3 i:0x10020000000,64 n:1 n:0 n:0
rt_tgsigqueueinfo q:-1 q:-1 n:0 i:0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
prlimit64 q:0 x:4 i:0,0 o:16
name_to_handle_at f6 p:f i:4=128/4=0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0 o:4 g:0
open_by_handle_at f6 i:4=8/4=1,0 g:0
syncfs f3
getcpu o:4 o:4 x:0
process_vm_readv q:-1 i:0x10020000000,64 n:1 i:0x10020000000,64 n:1 g:0
process_vm_writev q:-1 i:0x10020000000,64 n:1 i:0x10020000000,64 n:1 g:0
kcmp q:-1 q:-1 n:0 n:0 n:0
sched_setattr q:0 i:4=48/4=0,0,0,0,0,0 g:0
sched_getattr q:0 o:56 z:56 g:0
renameat2 f6 p:f f6 p:n g:0
seccomp n:2 g:0 i:4=0x7fff0000
getrandom o:16 l:16 g:0
memfd_create p:name g:0
execveat f6 p:nothing x:0 x:0 g:0
membarrier n:0 g:0 n:0
mlock2 m:0 l:4096 g:0
copy_file_range f3 i:0 f5 i:0 l:100 g:0
preadv2 f3 i:0x10020000000,64 n:1 n:0 n:0 g:0
pwritev2 f3 i:0x10020000000,64 n:1 n:0 n:0 g:0
pkey_mprotect m:0 l:4096 g:1 n:-1
statx f6 p:f g:0 n:0x7ff o:256
io_setup n:4 o:8
io_destroy n:0
io_getevents n:0 n:0 n:1 o:64 i:0,0
io_submit n:0 n:1 o:64
io_cancel n:0 o:64 o:64
pidfd_send_signal f3 n:0 x:0 g:0
io_uring_setup n:4 i:0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
io_uring_enter f3 n:1 n:0 g:0 x:0 z:8
io_uring_register f3 n:0 o:64 n:1
pidfd_open q:-1 g:0
close_range n:60 n:70 g:0
openat2 f6 p:f i:2,0,0 z:24
pidfd_getfd f3 n:0 g:0
faccessat2 f6 p:f n:4 g:0
process_madvise f3 i:0x10021000000,4096 n:1 n:4 g:0
epoll_pwait2 f11 o:48 n:4 i:0,0 i:0 z:8
memfd_secret g:0
process_mrelease f3 g:0
futex_waitv i:0,0x10020000800,4=2/4=0 n:1 g:0 i:0,0 n:1
set_mempolicy_home_node m:0 l:4096 n:0 g:0
cachestat f3 i:0,4096 o:40 g:0
fchmodat2 f6 p:f n:0600 g:0
futex_wake o:4 n:-1 n:1 g:2
futex_wait o:4 n:1 n:-1 g:2 i:0,0 n:1
futex_requeue i:0,0x10020000800,4=2/4=0,0,0x10020000900,4=2/4=0 g:0 n:1 n:1
mseal x:0x100213f0000 l:4096 g:0
setxattrat f6 p:f g:0 i:0x612e72657375 i:0x10020000000,4=1/4=0 z:16
getxattrat f6 p:f g:0 i:0x612e72657375 i:0x10020000000,4=16/4=0 z:16
listxattrat f6 p:f g:0 o:64 l:64
removexattrat f6 p:f g:0 i:0x612e72657375
add_key p:user p:name i:0 l:1 x:-3
request_key p:user p:name x:0 x:0
keyctl n:0 n:0 n:0 n:0 n:0
landlock_create_ruleset i:0x1fff z:8 g:0
quotactl n:0x800002 p:f n:0 o:64
swapon p:f g:0
swapoff p:f
acct p:f
pivot_root p:d p:d
syslog n:2 o:16 l:16
iopl n:3
ioperm n:0 n:1 n:1
init_module o:16 l:16 p:a
delete_module p:a g:0
finit_module f3 p:a g:0
bpf n:0 o:48 z:48
userfaultfd g:0
lookup_dcookie n:0 o:16 l:16
modify_ldt n:0 o:16 l:16
setns f3 g:0
fanotify_init g:0 g:0
open_tree f6 p:d g:0
move_mount f6 p:d f6 p:d g:0
fsopen p:tmpfs g:0
fspick f6 p:d g:0
mount_setattr f6 p:d g:0 i:0,0,0,0 z:32
"""


@dataclasses.dataclass(frozen=True)
class Argument:
    """One argument: its kind, the value of the register, and what memory must hold for it."""

    kind: str
    value: int
    data: bytes = b""
    room: int = 0


@dataclasses.dataclass(frozen=True)
class Row:
    """A call with arguments that work."""

    name: str
    number: int
    arguments: tuple[Argument, ...]


def _words(text: str) -> bytes:
    out = b""
    for part in text.replace(",", "/").split("/"):
        width, _, value = part.rpartition("=")
        size = int(width or 8)
        out += (int(value, 0) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return out


def _argument(word: str, index: int) -> Argument:
    # Each argument's memory is 4 KiB of its own.
    place = ARENA + (8 + index) * PAGE
    if word[0] == "f":
        return Argument("fd", int(word[1:]))
    kind, _, text = word.partition(":")
    match kind:
        case "p":
            return Argument("path", place, text.encode() + b"\0")
        case "o":
            return Argument("into", place, bytes(int(text)), int(text))
        case "i":
            data = _words(text)
            return Argument("from", place, data, len(data))
        case "m":
            return Argument("map", SLOTS + int(text, 0))
    names = {"l": "length", "z": "size", "g": "flags", "n": "number", "q": "process", "x": "fixed"}
    value = int(text, 8) if text[:1] == "0" and text.isdigit() and text != "0" else int(text, 0)
    return Argument(names[kind], value)


@functools.cache
def numbers() -> dict[str, int]:
    """Names to numbers, from the kernel's own table."""
    source = Path(__file__).parents[2] / "crates" / "abi" / "src" / "nr.rs"
    rows = {}
    for line in source.read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[0].isdigit() and words[2].endswith('";'):
            rows[words[2].strip('";')] = int(words[0])
    return rows


@functools.cache
def all_rows() -> dict[str, Row]:
    """Every row, by the call's name."""
    rows = {}
    for line in _ROWS.strip().splitlines():
        name, *words = line.split()
        arguments = tuple(_argument(word, index) for index, word in enumerate(words))
        assert len(arguments) <= 6, name
        rows[name] = Row(name, numbers()[name], arguments)
    return rows


def packed(*values: int) -> bytes:
    """Words of 8 bytes."""
    return struct.pack(f"<{len(values)}q", *values)
