"""Runs the cases one after the other and says so on the console, in the form that the host reads (rig/machine.py).

A case is a function with the decorator `case`, and fails by any exception. Cases of one file run in its order and
share a lab (`given`), which is made before the first and destroyed after the last of them.
"""
import re
import sys
import time
import traceback
from pathlib import Path

RESULTS = Path("/results")
_cases = []


class Skip(Exception):
    """This kernel or device cannot do what the case is about."""


def settings():
    """What the host says about this boot (run: build_archive)."""
    return dict(line.split("=", 1) for line in Path("/etc/suite").read_text().splitlines())


ZERO_COPY = settings()["zero_copy"] == "1"
WIDE = settings()["wide"] == "1"
ONLY = settings()["only"]


def case(given=None):
    def decorate(function):
        _cases.append((given, function))
        return function
    return decorate


def say(text):
    """For the reader of the test's output."""
    for line in str(text).splitlines():
        print(f"| {line}", flush=True)


def _run(function, arguments):
    name, start = function.__name__, time.monotonic()
    try:
        function(*arguments)
        print(f"ok {name} ({time.monotonic() - start:.1f} s)", flush=True)
    except Skip as why:
        print(f"skipped {name}: {why}", flush=True)
    except BaseException as error:  # noqa: B902 (also a failed assertion of a helper)
        _failed(name, error)


def _failed(name, error):
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    print(f"FAILED {name}: {first[:300]}", flush=True)
    (RESULTS / f"{name}.txt").write_text(traceback.format_exc())
    traceback.print_exc(file=sys.stdout)


def run_all():
    RESULTS.mkdir(exist_ok=True)
    print("suite begins", flush=True)
    wanted = [(given, function) for given, function in _cases if re.search(ONLY, function.__name__)]
    held, made_by = None, None
    for given, function in wanted:
        if given is not made_by:
            _end(held, made_by)
            held, made_by = None, given
            if given is not None:
                try:
                    held = given()
                except Skip as why:
                    print(f"skipped {function.__name__}: {why}", flush=True)
                    made_by = None
                    continue
                except BaseException as error:  # noqa: B902
                    _failed(function.__name__, error)
                    made_by = None
                    continue
        _run(function, (held,) if given is not None else ())
    _end(held, made_by)
    print("suite finished", flush=True)


def _end(held, made_by):
    if held is None:
        return
    try:
        held.close()
    except BaseException as error:  # noqa: B902
        _failed(f"{made_by.__name__}_ends", error)
