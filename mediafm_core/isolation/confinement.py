"""Sandbox of a child process (Linux): Landlock, seccomp, no capabilities.

A child applies it before it reads anything. Landlock denies all writes by path, and all reads by
path but those of the interpreter's libraries. A seccomp filter denies new programs, processes and
sockets, and access to the memory of other processes. Capabilities are dropped, so that the limits
also hold for root. Each restriction is applied independently; those that fail are returned by name.

Numbers and structures are from the kernel's user interface: linux/landlock.h, linux/seccomp.h,
linux/filter.h, linux/capability.h and the tables of system calls.
"""

import ctypes
import os
import platform
import struct
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SET_PDEATHSIG, _SET_SECCOMP, _SET_NO_NEW_PRIVS = 1, 22, 38
_BY_FILTER = 2
_SIGKILL = 9

# Landlock
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on every architecture
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
# Number of file rights, one bit each, that the Landlock versions 1, 2, 3 and 5 define.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
_TCP_SINCE, _TCP_RIGHTS = 4, 0b11
_SCOPES_SINCE, _SCOPES = 6, 0b11  # abstract Unix sockets and signals

# Seccomp: `struct sock_filter` and its instructions
_INSTRUCTION = struct.Struct("HBBI")
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW, _REFUSE, _KILL = 0x7FFF_0000, 0x0005_0001, 0x8000_0000  # refuse with EPERM
_UNKNOWN_CALL = 0x0005_0026  # refuse with ENOSYS: glibc then starts threads by `clone`
_CLONE_THREAD = 0x0001_0000
_X32 = 0x4000_0000
_BY_ARGUMENT = frozenset({"clone", "clone3", "tgkill", "prlimit64"})

# AUDIT_ARCH and system call numbers. All calls are refused, except those in `_BY_ARGUMENT`, which
# have rules of their own in `_filter`.
_CALLS: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000_003E,
        {
            **{"socket": 41, "socketpair": 53, "connect": 42, "bind": 49, "listen": 50},
            **{"accept": 43, "accept4": 288, "execve": 59, "execveat": 322, "fork": 57},
            **{"vfork": 58, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311},
            **{"kcmp": 312, "pidfd_open": 434, "pidfd_getfd": 438, "kill": 62, "tkill": 200},
            **{"rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "pidfd_send_signal": 424},
            **{"memfd_create": 319, "io_uring_setup": 425, "unshare": 272, "setns": 308},
            **{"bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "keyctl": 250},
            **{"add_key": 248, "request_key": 249, "clone": 56, "clone3": 435},
            **{"prlimit64": 302, "tgkill": 234},
        },
    ),
    "aarch64": (
        0xC000_00B7,
        {
            **{"socket": 198, "socketpair": 199, "connect": 203, "bind": 200, "listen": 201},
            **{"accept": 202, "accept4": 242, "execve": 221, "execveat": 281, "ptrace": 117},
            **{"process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272},
            **{"pidfd_open": 434, "pidfd_getfd": 438, "kill": 129, "tkill": 130},
            **{"rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "pidfd_send_signal": 424},
            **{"memfd_create": 279, "io_uring_setup": 425, "unshare": 97, "setns": 268},
            **{"bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "keyctl": 219},
            **{"add_key": 217, "request_key": 218, "clone": 220, "clone3": 435},
            **{"prlimit64": 261, "tgkill": 131},
        },
    ),
}


class Confinement:
    """Restrictions of children, prepared once by the fork server and applied by each child."""

    def __init__(self) -> None:
        self._is_linux = sys.platform == "linux"
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._ruleset = self._make_ruleset() if self._is_linux else -1

    def apply(self, parent: int) -> list[str]:
        """Apply all restrictions; returns the names of those that could not be applied.

        Args:
            parent: id of the parent process; this process is killed when that one ends.
        """
        if not self._is_linux:
            return ["Landlock", "seccomp", "capabilities", "death with its parent"]
        steps = {
            "death with its parent": self._prctl(_SET_PDEATHSIG, _SIGKILL),
            "no new privileges": self._prctl(_SET_NO_NEW_PRIVS, 1),
            "capabilities": self._drop_capabilities(),
            "Landlock": self._restrict_files(),
            "seccomp": self._restrict_calls(),
        }
        if os.getppid() != parent:  # it ended before the first step
            os._exit(1)
        return [name for name, applied in steps.items() if not applied]

    def _prctl(self, option: int, value: int) -> bool:
        return self._call(self._libc.prctl, option, value, 0, 0, 0) == 0

    def _syscall(self, *arguments: int | bytes | None) -> int:
        return self._call(self._libc.syscall, *arguments)

    def _call(self, function: Any, *arguments: int | bytes | None) -> int:
        """Call a variadic C function; each integer is passed as wide as a register."""
        wide = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
        return int(function(*wide))

    def _drop_capabilities(self) -> bool:
        header = struct.pack("Ii", 0x2008_0522, 0)  # version 3, this thread
        return self._libc.capset(header, bytes(24)) == 0

    # Landlock

    def _make_ruleset(self) -> int:
        """Create the Landlock rules (libraries are readable); returns a descriptor, or -1."""
        version = self._syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
        if version < 1:
            return -1
        bits = max(bits for since, bits in _FILE_RIGHTS.items() if since <= version)
        attributes = struct.pack("Q", (1 << bits) - 1)
        if version >= _TCP_SINCE:
            attributes += struct.pack("Q", _TCP_RIGHTS)
        if version >= _SCOPES_SINCE:
            attributes += struct.pack("Q", _SCOPES)
        ruleset = self._syscall(_CREATE_RULESET, attributes, len(attributes), 0)
        for folder in _libraries():
            descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            rule = struct.pack("=Qi", _READ_FILE | _READ_FOLDER, descriptor)
            self._syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
            os.close(descriptor)
        return ruleset

    def _restrict_files(self) -> bool:
        if self._ruleset < 0:
            return False
        return self._syscall(_RESTRICT_SELF, self._ruleset, 0) == 0

    # Seccomp

    def _restrict_calls(self) -> bool:
        known = _CALLS.get(platform.machine())
        if known is None or sys.maxsize < 1 << 32:
            return False
        program = _filter(*known)
        code = ctypes.create_string_buffer(program)
        count = len(program) // _INSTRUCTION.size
        pointer = struct.pack("H6xQ", count, ctypes.addressof(code))  # struct sock_fprog
        return self._call(self._libc.prctl, _SET_SECCOMP, _BY_FILTER, pointer, 0, 0) == 0


def _libraries() -> Iterator[Path]:
    """Return the folders from which the interpreter and packages load code and data."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    found = {Path(sysconfig.get_path(name)) for name in names}
    found |= {Path(sys.prefix, "lib"), Path(sys.base_prefix, "lib"), Path(__file__).parents[1]}
    found |= {Path(path) for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    found |= {Path("/usr/lib"), Path("/usr/lib64"), Path("/lib"), Path("/lib64")}
    return (path for path in sorted(found) if path.is_dir())


def _filter(architecture: int, calls: dict[str, int]) -> bytes:
    """Assemble the seccomp filter: refused calls, and calls whose first argument decides."""

    def when(value: int, result: int) -> list[tuple[int, int, int, int]]:
        return [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, result)]

    def only(call: str, test: int, value: int) -> list[tuple[int, int, int, int]]:
        """Allow a call if its first argument passes a test."""
        return [
            (_EQUAL, 0, 4, calls[call]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
            (test, 0, 1, value),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _REFUSE),
        ]

    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE),
    ]
    for name in sorted(calls.keys() - _BY_ARGUMENT):
        program += when(calls[name], _REFUSE)
    program += when(calls["clone3"], _UNKNOWN_CALL)
    program += only("clone", _ANY_BIT, _CLONE_THREAD)
    program += only("tgkill", _EQUAL, os.getpid())
    program += only("prlimit64", _EQUAL, 0)
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)
