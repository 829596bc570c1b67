"""The gate's outcome as JUnit XML: a suite for each data set, a case for each check."""

import re
from itertools import groupby

from memeval.core.outside import visible
from memeval.gate.text import explained
from memeval.gate.verdicts import WARNING, Check, Outcome

_UNFIT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, escaped or not."""


def render(outcome: Outcome) -> str:
    """Failed checks are failures; doubtful ones are skipped, with a reason, or failures where the gate is strict."""
    from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

    document = JUnitXml("memeval check")
    for dataset, checks in groupby(sorted(outcome.checks, key=_dataset), key=_dataset):
        suite = TestSuite(_fit(f"{outcome.suite} · {dataset}"))
        for check in checks:
            case = TestCase(_fit(check.what), classname=_fit(check.system))
            told = _fit("\n".join(explained(check, len(check.flips))))
            if outcome.fails(check):
                failure = Failure(_fit(check.message or check.verdict), check.verdict)
                failure.text = told
                case.result = [failure]
            elif check.verdict in WARNING:
                case.result = [Skipped(_fit(f"{check.verdict}: {check.message}"))]
            suite.add_testcase(case)
        document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    return str(document.tostring().decode())  # type: ignore[no-untyped-call]


def _dataset(check: Check) -> str:
    return check.dataset


def _fit(text: str) -> str:
    return _UNFIT.sub("\ufffd", visible(text, lines=True))
