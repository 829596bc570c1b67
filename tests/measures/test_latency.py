import json
import math

import numpy as np
import pytest

from memeval.core.types import written
from memeval.measures.latency import read, summary


def test_percentiles_interpolate_between_calls():
    seconds = [number / 100 for number in range(101)]
    result = summary(seconds, [20] * 101)
    assert [result.p50, result.p95, result.p99] == pytest.approx([0.5, 0.95, 0.99])
    assert "linear" in result.method


def test_order_of_calls_does_not_matter():
    seconds = np.random.default_rng(0).random(150)
    assert summary(seconds, [1] * 150).p99 == summary(np.sort(seconds), [1] * 150).p99


@pytest.mark.parametrize(
    ("calls", "p95", "p99"),
    [(1, False, False), (19, False, False), (20, True, False), (99, True, False), (100, True, True)],
)
def test_a_percentile_needs_enough_calls(calls, p95, p99):
    result = summary([0.2] * calls, [5] * calls)
    assert (result.p50, result.n) == (0.2, calls)
    assert (result.p95 is not None, result.p99 is not None) == (p95, p99)


def test_pairs_per_second_are_over_all_calls():
    result = summary([1.0, 3.0], [10, 70])
    assert (result.pairs_per_query, result.pairs_per_second) == (40.0, 20.0)


def test_calls_that_took_no_time_have_no_rate():
    assert summary([0.0], [3]).pairs_per_second is None


def test_no_call_has_no_latency():
    assert summary([], []) is None


def test_a_summary_can_be_written_as_json():
    assert json.loads(json.dumps(written(summary(np.ones(3), [1, 2, 3])), allow_nan=False))["n"] == 3


@pytest.mark.parametrize("seconds", [[-0.1], [math.nan], [math.inf], [0.1, 0.2]])
def test_impossible_times_are_refused(seconds):
    with pytest.raises(ValueError, match=r"negative|numbers of pairs"):
        summary(seconds, [1])


def test_what_was_remembered_is_unknown_where_a_line_tells_nonsense_of_it(tmp_path):
    head = '{"schema":"memeval/times","version":2}\n'
    lines = [
        '{"query_id":"a","pairs":3,"remembered":{"scores":3}}',
        '{"query_id":"b","pairs":3,"remembered":{"scores":-1}}',
    ]
    file = tmp_path / "a.times.jsonl"
    file.write_text(head + lines[0] + "\n" + lines[0][:-9])
    assert read(file).remembered.scores == 3
    for wrong in (lines[1], lines[1].replace("-1", '"x"')):
        file.write_text(head + lines[0] + "\n" + wrong)
        assert read(file).remembered is None


def test_one_line_that_is_none_costs_that_line_only(tmp_path):
    file = tmp_path / "a.times.jsonl"
    rows = ['{"schema":"memeval/times","version":2,"device":"cpu","hardware_usd_per_hour":2.5}']
    rows += ['{"query_id":"a","pairs":3,"seconds":0.5}', '{"query_id":"b","pairs":3,"seconds":"soon"}', "7", "[]", "{"]
    rows += ['{"bill":{"spent":1}}', '{"bill":{"source":"x","calls":2}}', '{"queries":1,"seconds":true,"pairs":1}']
    rows += ['{"peak_host_bytes":-5}', '{"hardware_usd_per_hour":null}']
    file.write_text("\n".join(rows))
    told = read(file)
    assert (list(told.asked), told.bill.calls, told.bill.spent, list(told.batches)) == (["a"], 2, 0, [])
    assert (told.machine.device, told.machine.peak_host_bytes, told.machine.hardware_usd_per_hour) == (
        "cpu",
        None,
        None,
    )
