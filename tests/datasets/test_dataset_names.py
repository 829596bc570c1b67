"""What all data sets share: names with options, splits, what is part of the digest, cards."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from memeval import datasets
from memeval.cli import catalogue
from memeval.core import names
from memeval.core.errors import PrerequisiteError, UsageError
from memeval.core.types import Dataset, Memory, Query, split_stores
from memeval.datasets import locomo, longmemeval

DATA = Path(__file__).parents[1] / "data"

SMALL = Dataset(
    name="small",
    version="1",
    licence="",
    url="",
    queries=(Query("q", "Where?", "s1"),),
    stores={"s1": (Memory("d", "Here."),), "s2": (Memory("d", "There."),)},
    qrels={"q": {"d": 1}},
)


def test_every_name_has_a_line_and_no_name_is_offered_twice() -> None:
    modules = datasets._shipped()
    assert sorted(modules) == datasets.on_offer()
    offered = [name for module in set(modules.values()) for name in module.ABOUT]
    assert len(offered) == len(set(offered))
    assert {"longmemeval-s", "lmeb", "finfact", "financebench", "liveqa-med", "pubmedqa", "jsonl"} <= set(offered)
    assert all(0 < len(datasets.about(name)) <= 120 for name in offered)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("longmemeval-s?unverfied=1", "unknown option 'unverfied' (did you mean 'unverified'?)"),
        ("longmemeval-s?unverified=yes", "unverified is 1 or 0, not 'yes'"),
        (
            "longmemeval-s?unverified",
            "what follows '?' must read option=value&option=value, each once, not 'unverified'",
        ),
        ("longmemeval-s?", "option=value&option=value, each once, not ''"),
        ("beir/x?split=a&split=b", "each once, not 'split=b'"),
        ("beir/x?split=", "option 'split' is empty"),
        ("hard-cases?unverified=1", "unknown option 'unverified' (it takes none)"),
        ("longmemeval?unverified=1", "unknown data set 'longmemeval' (did you mean 'longmemeval-"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_read(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        datasets.parse(name)


def test_options_stand_behind_the_name_or_its_argument() -> None:
    assert datasets.parse("locomo?unverified=1") == names.Name("locomo", options={"unverified": "1"})
    assert datasets.parse("beir/a/b?split=x&revision=y").argument == "a/b"
    assert datasets.about("locomo?unverified=1") == locomo.ABOUT["locomo"]


def test_unverified_0_is_as_if_it_were_not_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMEVAL_DATA", str(tmp_path))
    target = tmp_path / locomo.FILE.path
    target.parent.mkdir()
    target.write_bytes((DATA / "locomo" / "tiny.json").read_bytes())
    with pytest.raises(PrerequisiteError, match="is not the expected file"):
        datasets.load("locomo?unverified=0")
    taken = datasets.load("locomo?unverified=1")
    assert (taken.verified, taken.version[:11]) == (False, "unverified-")
    card = catalogue.card("locomo?unverified=1")
    assert "WARNING   not verified" in card
    assert "ConvoMem" not in card
    assert "trained   ConvMemory is known" in card
    assert "ask for locomo-audited" in card


def test_stores_fall_to_development_and_testing_by_their_id_alone() -> None:
    ids = [f"store-{number}" for number in range(1000)]
    splits = split_stores(ids)
    assert 250 < sum(split == "dev" for split in splits.values()) < 350
    assert split_stores(reversed(ids)) == splits
    assert all(splits[store_id] == split for store_id, split in split_stores(ids[:100]).items())


def test_both_sides_have_a_store_where_there_are_two() -> None:
    for number in range(50):
        assert sorted(split_stores([f"a{number}", f"b{number}"]).values()) == ["dev", "test"]
    assert split_stores(["only"]) == {"only": "test"}
    assert split_stores([]) == {}


def test_a_store_has_the_same_side_in_every_variant_of_a_data_set() -> None:
    tiny = DATA / "longmemeval" / "tiny.json"
    variants = [longmemeval.read(tiny, name).splits for name in list(longmemeval.ABOUT)[:3]]
    assert variants[0] == variants[1] == variants[2]


def test_a_data_set_may_have_splits_of_its_own() -> None:
    assert set(SMALL.splits) == {"s1", "s2"}
    assert replace(SMALL, splits={"s1": "dev", "s2": "dev"}).splits == {"s1": "dev", "s2": "dev"}


def test_what_is_said_about_a_data_set_is_not_part_of_its_digest() -> None:
    other = replace(
        SMALL,
        verified=False,
        instruction="Find it",
        known_problems=("None.",),
        trained_on=("x",),
        splits={"s1": "dev", "s2": "test"},
        about="x",
    )
    assert other.digest == SMALL.digest
    assert replace(SMALL, queries=(Query("q", "When?", "s1"),)).digest != SMALL.digest
