"""Draining, where the program can do it. Apart from support/daemon.py, which works without pytest."""

import pytest
from lab import Lab

from .daemon import xdplb

USAGE_ERROR = 2


def drain(lab: Lab, *indices: int) -> None:
    """Takes targets out of service without breaking what they have."""
    done = xdplb(lab.lb, "deactivate", "--drain", *indices, check=False)
    if done.returncode == USAGE_ERROR:
        pytest.skip("this xdplb cannot drain")
    assert done.returncode == 0, done.stderr
