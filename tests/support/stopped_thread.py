"""One thread of another process, stopped as a debugger stops it: SIGSTOP would stop all of them."""

import ctypes
import os
import threading
from pathlib import Path

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000  # __WALL: also a thread that is no process of its own


class StoppedThread:
    """Inside `with`, the thread does not run. The tracer is a thread of its own, since ptrace asks for the same one."""

    def __init__(self, tid: int):
        self._tid = tid
        self._let_go, self._stopped = threading.Event(), threading.Event()
        self._error: Exception | None = None
        self._tracer = threading.Thread(target=self._trace)

    def __enter__(self) -> "StoppedThread":
        self._tracer.start()
        self._stopped.wait()
        if self._error:
            raise self._error
        return self

    def __exit__(self, *_exception) -> None:
        self.release()

    def release(self) -> None:
        self._let_go.set()
        self._tracer.join()

    def _trace(self) -> None:
        try:
            _ptrace(PTRACE_SEIZE, self._tid)
            _ptrace(PTRACE_INTERRUPT, self._tid)
            os.waitpid(self._tid, WALL)
        except OSError as error:
            self._error = error
            return
        finally:
            self._stopped.set()
        self._let_go.wait()
        _ptrace(PTRACE_DETACH, self._tid)


def threads(pid: int) -> dict[str, int]:
    """The threads of a process by name."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {(task / "comm").read_text().strip(): int(task.name) for task in tasks}


def _ptrace(request: int, tid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, tid, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of thread {tid}")
