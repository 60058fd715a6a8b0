"""Give up every right that a decoder has no need of, then become the decoder.

Run as ``python -I -S -c SOURCE OPTION… -- COMMAND…`` by :mod:`veza.media.sandbox`. It is a program of its
own because rights must be given up between fork and exec, and Python code there (``preexec_fn``) is not safe
in a process with threads. Each start costs its imports, so it has few: no json, typing, signal or pathlib.

Options: ``parent=PID``, ``read=PATH`` and ``write=PATH`` (as often as needed), ``RLIMIT_…=NUMBER``.

Four layers, each worth having without the others, each left out where the kernel does not offer it:

1. ``setrlimit``: memory, CPU seconds, size of files, open files, no core dump.
2. Namespaces: a user namespace without any mapping (so no capability outside it) and an empty network.
3. Landlock: only the named folders can be read, only the work folder written, no TCP, no signals outside.
4. seccomp: no sockets, no new processes, no other process touched, no file's mode or times changed, none of
   the kernel's darker corners.

Without a command it prints which layers hold, as JSON, and ends. A command that cannot be started, for
whatever reason, is told apart from one that failed by its code and its words.
"""

import ctypes
import os
import resource
import struct
import sys

NOT_STARTED, NOT_STARTED_SAYS = 126, "launcher: not started"  # 126 as a shell has it
SIGKILL, SIGPIPE, SIGXFSZ = 9, 13, 25
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 22, 24, 38
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000


# Who listens comes before who waits for a song to be encoded; see core/background.py for what a slice is.
NICENESS, SLICE_NS = 10, 100_000_000
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, first: int = 0, second: object = 0) -> int:
    return int(_libc.prctl(option, ctypes.c_ulong(first), second, 0, 0))


def give_way() -> None:
    """Leave the processors to the server while it has use for them.

    Linux may share them out among sessions first, and this is one of its own: niceness counts within one, and
    is told of the session as well. With a long slice whoever wakes up interrupts a decoder at once. Sources:
    sched(7), the autogroup feature; sched_setattr(2).
    """
    niceness = os.nice(NICENESS)
    number = _SCHED_SETATTR.get(os.uname().machine)
    if number is not None:
        _libc.syscall(number, 0, struct.pack("=IIQiIQQQ", 48, 0, 0, niceness, 0, SLICE_NS, 0, 0), 0)
    try:
        file = os.open("/proc/self/autogroup", os.O_WRONLY)
        try:
            os.write(file, b"%d" % NICENESS)
        finally:
            os.close(file)
    except OSError:
        pass  # no such thing is here, or it was done for another a moment ago: users may not be that quick


def die_with(parent: int) -> None:
    """Be killed when the server dies, however it dies."""
    _prctl(PR_SET_PDEATHSIG, SIGKILL)
    if parent and os.getppid() != parent:  # it died before the line above
        sys.exit(1)


def limit(limits: dict[str, int]) -> None:
    """Set each limit; a hard limit that is already lower stays."""
    for name, value in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # ffmpeg takes SIGXCPU as a polite request: the kernel's own kill follows a second later.
        slack = 1 if name == "RLIMIT_CPU" else 0
        resource.setrlimit(kind, (soft, soft + slack if hard == resource.RLIM_INFINITY else soft))


def isolate() -> bool:
    """Enter namespaces without a network and without capabilities; False where that is not allowed."""
    isolated = int(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC)) == 0
    if isolated or os.geteuid() == 0:
        for capability in range(64):  # what exec could give back to user 0
            _prctl(PR_CAPBSET_DROP, capability)
    return isolated


# --- Landlock (linux/landlock.h) ---------------------------------------------------------------------

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_REG, _TRUNCATE = 1 << 5, 1 << 8, 1 << 14
_RIGHTS_BY_ABI = ((1, 13), (2, 14), (3, 15), (5, 16))  # from this version on, so many rights on files
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE  # the others are meant for folders


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not on this machine: nothing to allow
        return
    if not os.path.isdir(path):  # noqa: PTH112 - pathlib costs milliseconds at each start
        rights &= _ON_FILES
    rule = struct.pack("=Qi", rights, handle)
    _libc.syscall(_ADD_RULE, ruleset, 1, rule, 0)
    os.close(handle)


def confine(read: list[str], write: list[str]) -> int:
    """Allow only these paths; returns the version of Landlock, 0 where there is none."""
    abi = int(_libc.syscall(_CREATE_RULESET, None, 0, 1))
    if abi < 1:
        return 0
    handled = (1 << max(count for version, count in _RIGHTS_BY_ABI if version <= abi)) - 1
    # All file rights; TCP bind and connect (version 4); abstract sockets and signals (version 6).
    attributes = struct.pack("=QQQ", handled, 3, 3)[: 8 if abi < 4 else 16 if abi < 6 else 24]  # noqa: PLR2004 - versions
    ruleset = int(_libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0))
    if ruleset < 0:
        return 0
    for path in read:
        _allow(ruleset, path, handled & (_EXECUTE | _READ_FILE | _READ_DIR))
    for path in write:
        _allow(
            ruleset,
            path,
            handled & (_READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _TRUNCATE),
        )
    confined = int(_libc.syscall(_RESTRICT_SELF, ruleset, 0)) == 0
    os.close(ruleset)
    return abi if confined else 0


# --- seccomp (linux/seccomp.h, linux/filter.h) -------------------------------------------------------

# Per machine: AUDIT_ARCH, clone, clone3, kill, tgkill, prlimit64, and what is refused outright:
# sockets (connect, bind, listen, accept, sendto, sendmsg …), fork and vfork, other ways to signal, ptrace and
# another process's memory, mounts and namespaces, keys, bpf, perf, userfaultfd, io_uring, modules, kexec; and
# mode, owner, times and attributes of files, which Landlock leaves open: the child could change all we own.
_REFUSED_EVERYWHERE = {
    424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 438, 442, 452, 463, 466, 469,
}  # fmt: skip
_MACHINES: dict[str, tuple[int, int, int, int, int, int, set[int]]] = {
    "x86_64": (
        0xC000003E, 56, 435, 62, 234, 302,
        {29, 41, 42, 43, 44, 46, 49, 50, 53, 57, 58, 90, 91, 92, 93, 94, 101, 129, 132, 155, 161, 165, 166,
         175, 188, 189, 190, 197, 198, 199, 200, 235, 240, 246, 248, 249, 250, 260, 261, 268, 272, 280, 288,
         298, 304, 307, 308, 310, 311, 313, 320, 321, 322, 323},
    ),
    "aarch64": (
        0xC00000B7, 220, 435, 129, 131, 261,
        {5, 6, 7, 14, 15, 16, 39, 40, 41, 51, 52, 53, 54, 55, 88, 97, 104, 105, 117, 130, 138, 180, 194, 198,
         199, 200, 201, 202, 203, 206, 211, 217, 218, 219, 241, 242, 265, 268, 269, 270, 271, 273, 280, 281,
         282, 294},
    ),
}  # fmt: skip
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ERROR, _PASS = 0x80000000, 0x00050000, 0x7FFF0000
_EPERM, _ENOSYS, _CLONE_THREAD, _X32 = 1, 38, 0x00010000, 0x40000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data


def _instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _program(machine: str) -> bytes:
    """A filter of three kinds of rule, each jumping over its own answer when it does not apply."""
    architecture, clone, clone3, kill, tgkill, prlimit, refused = _MACHINES[machine]
    refuse = _instruction(_RETURN, _ERROR | _EPERM)
    lines = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, architecture, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
        _instruction(_AT_LEAST, _X32, 0, 1),
        _instruction(_RETURN, _KILL),
        # glibc makes threads with clone3 and falls back to clone, whose flags can be read here.
        _instruction(_EQUAL, clone3, 0, 1),
        _instruction(_RETURN, _ERROR | _ENOSYS),
    ]
    for number in sorted(refused | _REFUSED_EVERYWHERE):
        lines += [_instruction(_EQUAL, number, 0, 1), refuse]
    # Threads may be made, processes not; signals go to itself; limits are its own.
    for number, test, value in (
        (clone, _ANY_BIT, _CLONE_THREAD),
        (kill, _EQUAL, os.getpid()),
        (tgkill, _EQUAL, os.getpid()),
        (prlimit, _EQUAL, 0),
    ):
        lines += [
            _instruction(_EQUAL, number, 0, 4),
            _instruction(_LOAD, _FIRST_ARGUMENT),
            _instruction(test, value, 1, 0),
            refuse,
            _instruction(_RETURN, _PASS),
        ]
    return b"".join([*lines, _instruction(_RETURN, _PASS)])


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))


def refuse_calls() -> bool:
    """Install the filter; False where the machine or the kernel is not known to us."""
    machine = os.uname().machine
    if machine not in _MACHINES:
        return False
    program = _program(machine)
    wrapped = _Filter(len(program) // 8, program)
    return _prctl(PR_SET_SECCOMP, 2, ctypes.byref(wrapped)) == 0


def main() -> None:
    """Apply the layers in the order in which each still can be, then exec."""
    end = sys.argv.index("--")
    options = [option.partition("=")[::2] for option in sys.argv[1:end]]
    command = sys.argv[end + 1 :]
    linux = sys.platform == "linux"
    give_way()
    isolated = linux and isolate()
    if linux:
        die_with(int(dict(options).get("parent", 0)))  # not sooner: a change of credentials takes it back
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
    limit({name: int(value) for name, value in options if name.startswith("RLIMIT_")})
    reads = [value for name, value in options if name == "read"]
    writes = [value for name, value in options if name == "write"]
    landlock = confine(reads, writes) if linux else 0
    filtered = linux and refuse_calls()
    if not command:
        sys.stdout.write(f'{{"network": {isolated:d}, "landlock": {landlock}, "seccomp": {filtered:d}}}')
        return
    for ignored in (SIGPIPE, SIGXFSZ):  # by Python; what we become should not
        _libc.signal(ignored, None)
    os.execv(command[0], command)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - whatever it is, the command has not begun
        sys.stderr.write(f"{NOT_STARTED_SAYS}: {error!r}\n")
        sys.exit(NOT_STARTED)
