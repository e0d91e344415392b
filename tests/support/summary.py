#!/usr/bin/python3
"""Adds up JUnit XML reports (Catch2 `-r junit`, pytest `--junitxml`) given as arguments.

Prints what failed, a line per report, and last `N passed, N failed[, N skipped]`. A report that is missing, broken or
empty counts as one failure: a suite that did not run must not look like one that passed. Exit status 1 if anything
failed.
"""

import sys
import xml.etree.ElementTree as xml
from collections import Counter
from pathlib import Path

MESSAGE_MAX = 300


def count(report: Path) -> Counter:
    """Outcomes of the test cases of a report. (The totals in a Catch2 report are of assertions: of no use.)"""
    outcomes = Counter()
    for case in xml.parse(report).getroot().iter("testcase"):
        problems = [child for child in case if child.tag in ("failure", "error")]
        for problem in problems[:1]:
            text = problem.get("message") or problem.text or ""
            print(f"FAILED {report.stem}: {case.get('classname')}: {case.get('name')}: {text.strip()[:MESSAGE_MAX]}")
        skipped = case.find("skipped") is not None
        outcomes["failed" if problems else "skipped" if skipped else "passed"] += 1
    if not outcomes:
        raise ValueError("no test ran")
    return outcomes


def line(outcomes: Counter) -> str:
    text = f"{outcomes['passed']} passed, {outcomes['failed']} failed"
    return text + f", {outcomes['skipped']} skipped" if outcomes["skipped"] else text


def main(reports: list[str]) -> int:
    total = Counter()
    if not reports:
        print("summary: no reports given", file=sys.stderr)
        return 2
    for report in map(Path, reports):
        try:
            outcomes = count(report)
            print(f"{report.stem + ':':<14} {line(outcomes)}")
        except (OSError, xml.ParseError, ValueError) as error:
            outcomes = Counter(failed=1)
            print(f"{report.stem + ':':<14} no result: {error}")
        total += outcomes
    print(line(total))
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
