"""Names of systems and data sets: one grammar, one spelling, the same errors for both."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memeval import datasets, rerankers
from memeval.core import names
from memeval.core.errors import UsageError
from memeval.core.names import Name

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="/?@"), min_size=1, max_size=8)
OPTIONS = st.dictionaries(st.from_regex(r"o[a-z_]{0,7}", fullmatch=True), st.text(max_size=12), max_size=4)
NAMES = st.builds(
    Name,
    WORDS,
    st.lists(WORDS, min_size=1, max_size=3).map("/".join).filter(lambda path: path not in (".", "..")),
    st.none() | WORDS,
    OPTIONS,
)


@given(NAMES)
def test_a_name_is_read_as_it_was_written_and_written_as_it_was_read(name: Name) -> None:
    try:
        found = names.parse(str(name))
    except UsageError as error:
        assert "holds" in str(error), "only what looks like a secret is refused"
        return
    assert found.revised() == name if name.revision else found == name
    assert str(found) == str(name)


@given(NAMES, st.text(st.characters(codec="utf-8", exclude_characters="&=?+%"), min_size=1, max_size=6))
def test_an_option_that_is_added_is_found_and_can_be_taken_away_again(name: Name, value: str) -> None:
    longer = names.more(str(name), names.written({"added": value}))
    assert names.options(longer) == {**name.options, "added": value}
    assert names.without(longer, "added") == str(name)


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        ("minilm", "sentence-transformers/sentence-transformers/all-MiniLM-L6-v2"),
        ("random?seed=3", "random?seed=3"),
        (
            "bge-reranker-base@abc?dtype=float16",
            "transformers/BAAI/bge-reranker-base@abc?dtype=float16&max_length=512",
        ),
        ("openai/org/m?url=http://a:1/v1&price=1,2", "openai/org/m?price=1,2&url=http://a:1/v1"),
        ("transformers/a?instruction=find%20it+now", "transformers/a?instruction=find+it+now"),
        ("transformers/a?instruction=tea%2Bmilk", "transformers/a?instruction=tea%2Bmilk"),
    ],
)
def test_the_canonical_spelling_of_a_system_stays(given: str, spelled: str) -> None:
    assert str(rerankers.parse(given)) == spelled
    assert str(rerankers.parse(spelled)) == spelled


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("?{0}=1&{0}=1", "what follows '?' must read option=value&option=value, each once, not '{0}=1'"),
        ("?{0}=1&{1}", "what follows '?' must read option=value&option=value, each once, not '{1}'"),
        ("?", "what follows '?' must read option=value&option=value, each once, not ''"),
        ("?{0}=1&", "what follows '?' must read option=value&option=value, each once, not ''"),
        ("?{0}x=1", "unknown option '{0}x' (did you mean '{0}'?)"),
        ("?{0}=http://me:secret@host", "its name holds a URL with a user or password: keys come from the shell"),
    ],
)
def test_systems_and_data_sets_have_the_same_errors(said: str, message: str) -> None:
    for parse, what, name, options in (
        (rerankers.parse, "system", "transformers/x", ("dtype", "cut")),
        (datasets.parse, "data set", "beir/x", ("split", "revision")),
    ):
        with pytest.raises(UsageError, match=re.escape(message.format(*options))) as raised:
            parse(name + said.format(*options))
        assert str(raised.value).startswith(f"{what} '{name}")
        assert "secret" not in str(raised.value)


def test_an_at_sign_in_a_folder_is_no_revision(tmp_path: Path) -> None:
    name = f"transformers/{tmp_path / 'a@b'}"
    assert names.parse(name).revised().revision == "b"
    (tmp_path / "a@b").mkdir()
    assert names.parse(name).revised() == names.parse(name)
