#!/usr/bin/python3
"""Independent rendezvous hashing and modulo, with weights: prints the golden vectors of tests/unit/lb.

Scores are w / -ln(u) in fifty decimal digits, turns exact fractions; nothing is shared with user/lb. Run it from anywhere:
    tests/support/choice_oracle.py rendezvous > tests/unit/lb/rendezvous_golden.inc
    tests/support/choice_oracle.py modulo > tests/unit/lb/modulo_golden.inc
"""
import sys
from decimal import Decimal, getcontext
from fractions import Fraction
from math import ceil

from maglev_oracle import CASES, MASK, identities, splitmix_finalizer

getcontext().prec = 50


def rendezvous(backends, m):
    """backends: (identity, weight, index). Each entry to the highest score."""
    def score(entry, backend):
        identity, weight, _ = backend
        hashed = splitmix_finalizer(splitmix_finalizer(identity) ^ splitmix_finalizer(entry + 1))
        u = Decimal(hashed + 1) / Decimal(MASK + 1)
        return Decimal(weight) / -u.ln()

    usable = [b for b in backends if b[1] > 0]
    return [max(usable, key=lambda b, e=entry: score(e, b))[2] for entry in range(m)]


def modulo(backends, m):
    """A round in which each has its weight in turns, the k-th of them at k / weight of the way."""
    usable = sorted(b for b in backends if b[1] > 0)
    heaviest = max(b[1] for b in usable)
    turns = sorted((ceil(Fraction(k * heaviest, weight)), position, index)
                   for position, (_, weight, index) in enumerate(usable) for k in range(weight))
    return [turns[entry % len(turns)][2] for entry in range(m)]


MORE_CASES = [
    ("random weights", 211, [(x, 1 + x % 1000, i) for i, x in enumerate(identities(60, 19))]),
    ("all of weight 1000", 53, [(x, 1000, i) for i, x in enumerate(identities(7, 23))]),
]


def main():
    fill = {"rendezvous": rendezvous, "modulo": modulo}[sys.argv[1]]
    print(f"// Written by tests/support/choice_oracle.py {sys.argv[1]}.")
    for name, m, backends in CASES + MORE_CASES:
        entries = ", ".join(str(e) for e in fill(backends, m))
        spec = ", ".join(f"{{0x{i:x}u, {w}, {x}}}" for i, w, x in backends)
        print(f'{{"{name}", {m},\n {{{spec}}},\n {{{entries}}}}},')


if __name__ == "__main__":
    main()
