"""The summary that ends `make test`: it may miss nothing that went wrong."""

from pathlib import Path

import pytest
from support import summary

pytestmark = pytest.mark.lab_only

CASES = {
    "passed": '<testcase name="a"/>',
    "failed": '<testcase name="b"><failure message="1 == 2"/></testcase>',
    "error": '<testcase name="c"><error message="no lab"/></testcase>',
    "skipped": '<testcase name="d"><skipped/></testcase>',
}


def report(path: Path, *kinds: str) -> str:
    text = "".join(CASES[kind] for kind in kinds)
    path.write_text(f'<testsuites><testsuite name="x" tests="99" failures="0">{text}</testsuite></testsuites>')
    return str(path)


def test_adds_up_what_the_reports_say(tmp_path, capsys):
    unit = report(tmp_path / "unit.xml", "passed", "passed", "skipped")
    other = report(tmp_path / "other.xml", "passed", "failed", "error", "failed")
    assert summary.main([unit]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 0 failed, 1 skipped"
    assert summary.main([unit, other]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "3 passed, 3 failed, 1 skipped"


BROKEN = {"missing": None, "empty": "", "cut": "<testsuites>", "no test": "<testsuites/>"}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_suite_without_result_counts_as_failed(tmp_path, capsys, content):
    good, bad = report(tmp_path / "good.xml", "passed"), tmp_path / "bad.xml"
    if content is not None:
        bad.write_text(content)
    assert summary.main([good, str(bad)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"


def test_no_report_is_a_usage_error():
    assert summary.main([]) == 2
