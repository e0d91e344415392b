"""Waiting for conditions. No test sleeps for a while and hopes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 20, what: object = "", every: float = 0.01) -> T:
    """Calls `condition` until it returns something true, and returns that. `what` names it in the error; a function is
    called for it then, so that it can show the last state."""
    deadline = time.monotonic() + timeout
    while True:
        last_try = time.monotonic() > deadline
        if value := condition():
            return value
        if last_try:
            text = what() if callable(what) else what or getattr(condition, "__name__", "condition")
            raise TimeoutError(f"not within {timeout} s: {text}")
        time.sleep(every)
