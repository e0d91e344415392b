#!/usr/bin/python3
"""An independent Maglev with weights: prints the golden vectors of tests/unit/lb/maglev_golden.inc.

It follows the paper's pseudo code with whole permutations and exact fractions and shares nothing with
user/lb/maglev.cpp. Run it from anywhere: tests/support/maglev_oracle.py > tests/unit/lb/maglev_golden.inc
"""
from fractions import Fraction

MASK = (1 << 64) - 1


def splitmix_finalizer(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def permutation(identity, m):
    h = splitmix_finalizer(identity)
    offset = (h >> 32) * m // 2**32
    skip = 1 + (h % 2**32) * (m - 1) // 2**32
    return [(offset + j * skip) % m for j in range(m)]


def table(backends, m):
    """backends: (identity, weight, index). A turn is due as soon as it is owed: when round / max >= taken / weight."""
    backends = sorted(b for b in backends if b[1] > 0)
    result = [None] * m
    if not backends:
        return result
    heaviest = max(b[1] for b in backends)
    order = [iter(permutation(b[0], m)) for b in backends]
    taken = [0] * len(backends)
    free, rounds = m, 0
    while True:
        for i, (_, weight, index) in enumerate(backends):
            if Fraction(taken[i], weight) > Fraction(rounds, heaviest):
                continue
            entry = next(e for e in order[i] if result[e] is None)
            result[entry] = index
            taken[i] += 1
            free -= 1
            if free == 0:
                return result
        rounds += 1


# Identities are inputs here: their hash is tested in tests/unit/base.
def identities(n, start):
    return [(start + 0x9E3779B97F4A7C15 * (i + 1)) & MASK for i in range(n)]


CASES = [
    ("one backend", 7, [(0xDEADBEEF, 1, 3)]),
    ("neighbouring identities", 13, [(1, 1, 0), (2, 1, 1), (3, 1, 2)]),
    ("more backends than entries", 5, [(i * 1000, 1, i) for i in range(8)]),
    ("twenty of equal weight", 97, [(x, 1, i) for i, x in enumerate(identities(20, 7))]),
    ("weights 1 2 3 0", 101, [(x, i % 4, i) for i, x in enumerate(identities(8, 11))]),
    ("one heavy", 199, [(x, 1000 if i == 2 else 1, i) for i, x in enumerate(identities(5, 13))]),
    ("smallest table", 2, [(x, 1, i) for i, x in enumerate(identities(3, 17))]),
]


def main():
    print("// Written by tests/support/maglev_oracle.py.")
    for name, m, backends in CASES:
        entries = ", ".join(str(e) for e in table(backends, m))
        spec = ", ".join(f"{{0x{i:x}u, {w}, {x}}}" for i, w, x in backends)
        print(f'{{"{name}", {m},\n {{{spec}}},\n {{{entries}}}}},')


if __name__ == "__main__":
    main()
