"""The results as JUnit XML, which tests/support/summary.py adds up with those of the other suites."""
from xml.etree import ElementTree as xml

CHILD = {"FAILED": "failure", "skipped": "skipped"}


def write(path, outcomes):
    """`outcomes`: machine.Outcome by kernel."""
    root = xml.Element("testsuites")
    for kernel, outcome in outcomes.items():
        suite = xml.SubElement(root, "testsuite", name=kernel)
        for result, name, said in outcome.cases:
            case = xml.SubElement(suite, "testcase", classname=kernel, name=name)
            if result in CHILD:
                xml.SubElement(case, CHILD[result], message=said)
    path.parent.mkdir(parents=True, exist_ok=True)
    xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
