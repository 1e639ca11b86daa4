"""Walls around a child process, built by the kernel: no new sockets, no other programs, no look into other processes.

A seccomp filter, in the kernel's own small language, installed through ``prctl`` and ``seccomp``: nothing to install.
It cannot be taken away again, and threads that run already get it, too. What it forbids fails with EPERM. Sockets that
were inherited keep working. Where there is no such filter (another system, another processor, a kernel built without)
the process continues without walls; ``sample-bridge doctor`` says so.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import socket
import struct
import sys
from typing import Final, NamedTuple


class _Machine(NamedTuple):
    """System call numbers of one processor."""

    audit: int
    seccomp: int
    clone: int
    sockets: tuple[int, ...]
    """socket, socketpair, connect, bind, listen, accept, accept4."""
    programs: tuple[int, ...]
    """execve, execveat, fork, vfork: where there are any."""
    others: tuple[int, ...]
    """ptrace, process_vm_readv, process_vm_writev, kill, tkill, rt_sigqueueinfo, rt_tgsigqueueinfo, mount, umount2,
    unshare, setns, pivot_root, chroot, bpf, perf_event_open, add_key, request_key, keyctl, userfaultfd,
    open_by_handle_at."""


_MACHINES: Final = {
    "x86_64": _Machine(
        0xC000003E, 317, 56,
        (41, 53, 42, 49, 50, 43, 288),
        (59, 322, 57, 58),
        (101, 310, 311, 62, 200, 129, 297, 165, 166, 272, 308, 155, 161, 321, 298, 248, 249, 250, 323, 304),
    ),
    "aarch64": _Machine(
        0xC00000B7, 277, 220,
        (198, 199, 203, 200, 201, 202, 242),
        (221, 281),
        (117, 270, 271, 129, 130, 138, 240, 40, 39, 97, 268, 41, 51, 280, 241, 217, 218, 219, 282, 265),
    ),
}  # fmt: skip
_EVERYWHERE: Final = (424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 438)
"""pidfd_send_signal, io_uring (it makes sockets by itself), open_tree ... fspick, pidfd_open, pidfd_getfd."""
_CLONE3: Final = 435

_PR_SET_NO_NEW_PRIVS: Final = 38
_SET_MODE_FILTER: Final = 1
_ALL_THREADS: Final = 1
_CLONE_THREAD: Final = 0x10000
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_LOAD, _IS, _AT_LEAST, _HAS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _EPERM, _ENOSYS, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
_X32: Final = 0x40000000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def close_in(*, programs: bool = False) -> str | None:
    """Build the walls around this process, for good. ``programs``: it still may start others, inside the same walls.

    Answers None, or why there is no wall.
    """
    if not sys.platform.startswith("linux"):
        return f"{platform.system()} has no seccomp"
    libc = ctypes.CDLL(None, use_errno=True)
    machine = _MACHINES.get(platform.machine())
    if machine is not None and sys.maxsize > 2**32:
        code = _filter(machine, programs=programs)
        buffer = ctypes.create_string_buffer(code, len(code))
        program = _Program(len(code) // 8, ctypes.addressof(buffer))
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and (
            libc.syscall(machine.seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program)) == 0
        ):
            return None
    why = f"no seccomp filter ({platform.machine()}: {os.strerror(ctypes.get_errno()) or 'not known'})"
    # A network of one's own keeps the internet away, if nothing else; only a process with one thread may have it.
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        return f"{why}; it has no network, but may open local sockets"
    return why


def found() -> str | None:
    """Try the walls in a process of its own. Answers None when they hold, else what is missing, for doctor."""
    import subprocess  # what is only walled in does not need it

    try:
        asked = subprocess.run(
            [sys.executable, "-P", "-m", "bridge.system.walls"], capture_output=True, text=True, timeout=30, check=True
        )
        answer = json.loads(asked.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return f"they could not be tried ({type(error).__name__})"
    return None if answer is None else str(answer)


def _filter(machine: _Machine, *, programs: bool) -> bytes:
    """The filter: 8 bytes an instruction. Every jump is to the next instruction or over it."""
    code = [
        _instruction(_LOAD, 4),  # the processor that the call was made for
        _instruction(_IS, machine.audit, over=True),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, 0),  # the call's number
    ]
    if machine.audit == _MACHINES["x86_64"].audit:
        code += [_instruction(_AT_LEAST, _X32, otherwise=True), _instruction(_RETURN, _EPERM)]
    denied = machine.sockets + machine.others + _EVERYWHERE + (() if programs else machine.programs)
    for number in denied:
        code += [_instruction(_IS, number, otherwise=True), _instruction(_RETURN, _EPERM)]
    if not programs:
        # clone3 hides its flags from us; without it the C library takes clone, which may make threads.
        code += [_instruction(_IS, _CLONE3, otherwise=True), _instruction(_RETURN, _ENOSYS)]
        code += [
            _instruction(_IS, machine.clone, over=True),
            _instruction(_RETURN, _ALLOW),
            _instruction(_LOAD, 16),  # its flags
            _instruction(_HAS, _CLONE_THREAD, over=True),
            _instruction(_RETURN, _EPERM),
        ]
    return b"".join([*code, _instruction(_RETURN, _ALLOW)])


def _instruction(operation: int, value: int, *, over: bool = False, otherwise: bool = False) -> bytes:
    """One instruction; a comparison that holds jumps over the next one, or one that does not (``otherwise``)."""
    return struct.pack("HBBI", operation, int(over), int(otherwise), value)


def _tried() -> str | None:
    why = close_in()
    if why is not None:
        return why
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        try:
            socket.socket(family).close()
        except OSError:
            continue
        return f"a socket of the kind {family.name} can be opened"
    return None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_tried()))
