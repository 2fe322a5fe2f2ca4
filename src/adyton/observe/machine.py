"""What this machine offers to an enclave, found by trying, and what Adyton makes of it.

Probes that change the process (Syscall User Dispatch) run in a forked child.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adyton.launch import units

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_SYSCALL_USER_DISPATCH = 59
_EXCLUSIVE_ON, _INCLUSIVE_ON = 1, 2
_SYS_SECCOMP = 317
_SECCOMP_GET_ACTION_AVAIL = 2
_SECCOMP_RET_TRAP = 0x0003_0000
_SYS_IO_URING_SETUP = 425
_SYS_MEMFD_SECRET = 447
_RANGE = 1 << 46


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that a machine has or lacks.

    `value` is what was found, `used` what Adyton does with it, `advice` what to do about it; `ok`
    is False when nothing runs without it.
    """

    name: str
    value: str
    used: str
    advice: str = ""
    ok: bool = True

    def as_dict(self) -> dict[str, str | bool]:
        """Return it as JSON has it."""
        return {
            "name": self.name,
            "value": self.value,
            "used": self.used,
            "advice": self.advice,
            "ok": self.ok,
        }


def probe() -> list[Feature]:
    """Look at the processor, the kernel and the limits of this process."""
    return [*_processor(), *_kernel(), *_memory(), *_hardware()]


def _processor() -> list[Feature]:
    flags = _cpu_flags()

    def has(name: str) -> str:
        return "yes" if name in flags else "no"

    fsgsbase = "fsgsbase" in flags
    return [
        Feature("cores", str(len(os.sched_getaffinity(0))), "the default of --vcpus"),
        Feature(
            "FSGSBASE",
            has("fsgsbase"),
            "required",
            "" if fsgsbase else "needs Linux 5.9 and a processor since 2013; nofsgsbase unset",
            ok=fsgsbase,
        ),
        Feature("protection keys", has("ospke"), "not yet"),
        Feature(
            "AVX-512", has("avx512f"), "programs' state is kept" if has("avx512f") == "yes" else ""
        ),
        Feature("AMX", has("amx_tile"), "refused to programs"),
        Feature(
            "SHA instructions",
            has("sha_ni"),
            "measuring" if "sha_ni" in flags else "",
            "" if "sha_ni" in flags else "measuring takes a few milliseconds more",
        ),
        Feature("VAES", has("vaes"), "not yet"),
    ]


def _cpu_flags() -> set[str]:
    for line in _text("/proc/cpuinfo").splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()


def _kernel() -> list[Feature]:
    dispatch = _in_child(lambda: _dispatch(_EXCLUSIVE_ON))
    inclusive = _in_child(lambda: _dispatch(_INCLUSIVE_ON))
    filters = _filters()
    ring = _errno_of(_ring)
    secret = _errno_of(_secret)
    return [
        Feature("Linux", os.uname().release, ""),
        Feature(
            "Syscall User Dispatch",
            _found(dispatch),
            "required",
            "" if not dispatch else "needs Linux 5.11 and a seccomp profile that allows prctl",
            ok=not dispatch,
        ),
        Feature(
            "  inclusive range",
            _found(inclusive),
            "catches calls of user code alone" if not inclusive else "done without",
            "" if not inclusive else "a newer Linux has it",
        ),
        Feature(
            "seccomp filters",
            _found(filters),
            "refuse all but the runner's host calls" if not filters else "done without",
            "" if not filters else "a container's seccomp profile may deny them",
        ),
        Feature(
            "io_uring",
            _found(ring),
            "carries I/O where exits are dear"
            if not ring
            else "done without: host calls, and where exits are dear a poller thread",
            _ring_advice(ring),
        ),
        Feature(
            "memfd_secret",
            _found(secret),
            "not yet",
            "" if not secret else "boot with secretmem.enable=1",
        ),
    ]


def _ring_advice(code: int) -> str:
    if not code:
        return ""
    if _text("/proc/sys/kernel/io_uring_disabled").strip() not in ("", "0"):
        return "sysctl kernel.io_uring_disabled=0"
    return "a container's seccomp profile may deny it; allow io_uring_setup, _enter, _register"


def _memory() -> list[Feature]:
    sys_thp = "/sys/kernel/mm/transparent_hugepage/"
    maps = int(_text("/proc/sys/vm/max_map_count") or 0)
    overcommit = _text("/proc/sys/vm/overcommit_memory").strip()
    shmem = _chosen(_text(sys_thp + "shmem_enabled"))
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    room = hard == resource.RLIM_INFINITY or hard > _RANGE
    return [
        Feature(
            "memory",
            units.show(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")),
            f"half, {units.show(units.default_memory())}, is the default of --memory",
        ),
        Feature(
            "address space (ulimit -v)",
            _limit(soft),
            f"{units.show(_RANGE)} are reserved",
            "" if room else "ulimit -Hv unlimited, as root",
            ok=room,
        ),
        Feature(
            "locked memory (ulimit -l)", _limit(resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]), ""
        ),
        Feature(
            "open files (ulimit -n)",
            str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
            "host files",
        ),
        Feature(
            "vm.max_map_count",
            str(maps),
            "mappings of all programs inside",
            ""
            if maps >= 262144
            else "sysctl vm.max_map_count=1048576, for programs with many maps",
        ),
        Feature(
            "vm.overcommit_memory",
            overcommit,
            "",
            "memory is committed piece by piece, slower; sysctl vm.overcommit_memory=0"
            if overcommit == "2"
            else "",
        ),
        Feature(
            "large pages, private", _chosen(_text(sys_thp + "enabled")), "where a program asks"
        ),
        Feature(
            "large pages, shared",
            shmem or "not there",
            "page cache" if shmem in ("advise", "always", "within_size") else "done without",
            ""
            if shmem in ("advise", "always", "within_size")
            else f"echo advise > {sys_thp}shmem_enabled",
        ),
    ]


def _hardware() -> list[Feature]:
    rows = []
    for name, path in (
        ("SGX", "/dev/sgx_enclave"),
        ("TDX guest", "/dev/tdx_guest"),
        ("SEV-SNP guest", "/dev/sev-guest"),
    ):
        there = os.path.exists(path)
        rows.append(Feature(name, "yes" if there else "no", "not yet: the backend is sim"))
    return rows


def _found(code: int) -> str:
    return "yes" if not code else f"no ({errno.errorcode.get(code, code)})"


def _limit(value: int) -> str:
    return "unlimited" if value == resource.RLIM_INFINITY else units.show(value)


def _chosen(text: str) -> str:
    return text.partition("[")[2].partition("]")[0]


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _dispatch(mode: int) -> int:
    """Switch dispatch on for a range without code, its selector saying allow; return the errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    selector = ctypes.create_string_buffer(1)
    # Exclusive: the range is the part that is left alone; inclusive: the part that is caught.
    words = [ctypes.c_ulong(word) for word in (mode, 0x10000, 0x1000)]
    done = libc.prctl(_PR_SET_SYSCALL_USER_DISPATCH, *words, ctypes.byref(selector))
    return ctypes.get_errno() if done else 0


def _filters() -> int:
    """Ask for an action that filters need; return the errno."""
    trap = ctypes.c_uint32(_SECCOMP_RET_TRAP)
    available = ctypes.c_long(_SECCOMP_GET_ACTION_AVAIL)
    done = _syscall(_SYS_SECCOMP, available, ctypes.c_long(0), ctypes.byref(trap))
    return ctypes.get_errno() if done else 0


def _ring() -> int:
    parameters = ctypes.create_string_buffer(120)
    return _syscall(_SYS_IO_URING_SETUP, ctypes.c_long(1), ctypes.byref(parameters))


def _secret() -> int:
    return _syscall(_SYS_MEMFD_SECRET, ctypes.c_long(0))


def _syscall(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(ctypes.c_long(number), *arguments))


def _errno_of(call: Callable[[], int]) -> int:
    ctypes.set_errno(0)
    descriptor = call()
    if descriptor < 0:
        return ctypes.get_errno() or errno.ENOSYS
    os.close(descriptor)
    return 0


def _in_child(call: Callable[[], int]) -> int:
    """Run a probe in a child and return its result, an errno; EIO when it died of it."""
    pid = os.fork()
    if not pid:
        code = errno.EIO
        try:
            code = call()
        finally:
            os._exit(min(code, 255))
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else errno.EIO
