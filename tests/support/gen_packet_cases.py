#!/usr/bin/python3
"""Makes tests/support/packet_cases.json: frames, and what parse_packet must say of each (packet_cases/).

    tests/support/gen_packet_cases.py > tests/support/packet_cases.json
    tests/support/gen_packet_cases.py --corpus tests/fuzz/corpus/parse     # some of them as seeds for a fuzzer"""

import argparse
import json
import logging
import pathlib

from packet_cases import errors, fragments, ipv4, ipv6, link, transport
from packet_cases.build import cases


# scapy warns of each ICMPv6 header that it shows without its IPv6 header.
logging.getLogger("scapy.runtime").setLevel(logging.ERROR)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=pathlib.Path, help="write every seventh frame there, a file each")
    corpus = parser.parse_args().corpus
    for module in (link, transport, ipv4, ipv6, fragments, errors):
        for group in module.GROUPS:
            group()
    if corpus is None:
        print("[\n" + ",\n".join(json.dumps(case) for case in cases.values()) + "\n]")
        return
    corpus.mkdir(parents=True, exist_ok=True)
    for n, case in enumerate(list(cases.values())[::7]):
        (corpus / f"case_{n:03}").write_bytes(bytes.fromhex(case["frame"]))


if __name__ == "__main__":
    main()
