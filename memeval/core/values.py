"""Values from outside: each of the type it must have, or one line that says which one is not, and where it stands.

A place is handed in as `where` and begins the line. Grades are read here and nowhere else, whatever the file: `1`,
`1.0` and "1.0" are one grade, .5 and 2.75 stay what they are; one below 0 is kept, and means what it means to
trec_eval: not judged.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from memeval.core.errors import DataError, SuiteError, UsageError, did_you_mean

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T")
M = TypeVar("M", bound="BaseModel")
KINDS: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "an integer",
    bool: "true or false",
}
LARGEST = 10**15
"""An integer that means a number is at most this; a double holds all of them exactly."""
HIGHEST = 1000
"""The highest grade, and its negative the lowest: 2^grade, the gain of some measures, must be a number."""
LEAST = 1e-100
"""The smallest grade above 0, and its negative likewise: what is nearer to 0 loses digits, or is taken for 0."""
LONGEST = 100
"""Characters of the longest number."""
FARTHEST = 1e100
"""The largest score, and its negative the lowest: sums of their squares must be numbers."""
REPEATED = "repeated labels"
"""The anomaly of labels that stand twice and agree."""

_KIND = re.compile(r"function-|tuple\[|literal\[|constrained-|str$")  # in a place: which of several types it is not
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def grade(value: object, where: str) -> float:
    """A grade: a real number, or one in a string; a whole one is an integer, however it is written.

    Raises DataError for everything else: NaN, true, words, "½", "0x1", nothing, what is beyond HIGHEST, and what is
    nearer to 0 than LEAST but not 0.

    >>> grade(1, ""), grade(1.0, ""), grade("1.0", ""), grade(" -2 ", ""), grade(".5", ""), grade(2.75, "")
    (1, 1, 1, -2, 0.5, 2.75)
    """
    number: Decimal | None = None
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        number = Decimal(value)
    elif isinstance(value, str) and len(value) <= LONGEST and _NUMBER.fullmatch(value.strip()):
        number = Decimal(value.strip())
    if number is None or not number.is_finite() or abs(number) > HIGHEST:
        raise DataError(f"{where} must be a number from -{HIGHEST:,} to {HIGHEST:,}, not {shown(value)}")
    if number and abs(float(number)) < LEAST:
        raise DataError(f"{where} is {shown(value)}, which is nearer to 0 than {LEAST}: write 0 or a larger number")
    return unpadded(float(number))


def unpadded(number: float) -> float:
    """The number, as an integer where it is whole: it is written without a fraction that it has not.

    >>> unpadded(1.0), unpadded(-0.0), unpadded(0.5)
    (1, 0, 0.5)
    """
    return int(number) if number % 1 == 0 else number


def label(grades: MutableMapping[str, float], doc_id: str, value: float, where: str, anomalies: "Counter[str]") -> None:
    """Adds a label to those of a query. One that is there already is counted; raises DataError if it says otherwise."""
    anomalies[REPEATED] += doc_id in grades
    if grades.setdefault(doc_id, value) != value:
        raise DataError(f"{where}: {shown(doc_id)} stands twice, graded differently ({grades[doc_id]} and {value})")


def answered(text: str | bytes) -> Any:
    """The value of a JSON text that a server wrote, NaN, infinities and halves of surrogate pairs included.

    Raises ValueError for what is no JSON, and for one that is nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("is JSON that is nested too deep") from None


def decoded(raw: bytes, where: str, *, unique: bool = False) -> Any:
    """The value of a JSON text. Raises DataError with `where` and the reason; no other error escapes.

    With `unique`, a key that stands twice in an object is an error; without, the last one counts, as JSON has it.
    """
    try:
        text = raw.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=partial(_table, where) if unique else None)
        check_pairs(text, value)
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: is not UTF-8 ({_place(raw, error.start)})") from error
    except UnicodeEncodeError as error:
        raise DataError(f"{where}: holds half of a surrogate pair (\\ud…), which is no character") from error
    except json.JSONDecodeError as error:
        place = _place(text.encode(), len(text[: error.pos].encode()))
        raise DataError(f"{where}: is not JSON or is cut off: {error.msg} ({place})") from error
    except (RecursionError, ValueError) as error:  # nested too deep; a number of thousands of digits
        raise DataError(f"{where}: is JSON that cannot be read ({type(error).__name__})") from error
    return value


def _table(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise DataError(f"{where}: the key {shown(twice)} stands twice in an object")
    return table


def check_pairs(text: str, value: object) -> None:
    """Raises UnicodeEncodeError for half of a surrogate pair: it is JSON, but no text that could be written again."""
    if "\\ud" in text.lower():
        json.dumps(value, ensure_ascii=False).encode()


def _place(raw: bytes, position: int) -> str:
    """Where in a file something is; a line of a JSON Lines file already has its number in `where`."""
    line = raw.count(b"\n", 0, position) + 1
    return f"line {line}" if b"\n" in raw else f"byte {position}"


def utf8(raw: bytes, where: str) -> str:
    """The text of bytes that must be UTF-8. A NUL byte is refused: it is UTF-16, or no text at all."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: is not UTF-8 ({_place(raw, error.start)})") from error
    if "\0" in text:
        raise DataError(f"{where}: holds a NUL byte: it is UTF-16, or no text at all")
    return text


def value_of(record: object, key: str, kind: type[T], where: str) -> T:
    """The value of a key in a JSON object. Raises DataError where it is missing or of another type."""
    table = typed(record, dict, where)
    if key not in table:
        raise DataError(f"{where}: {key!r} is missing")
    return typed(table[key], kind, f"{where}: {key!r}")


def typed(value: object, kind: type[T], where: str) -> T:
    """The value itself, of the type it must have. Raises DataError where it is of another."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise DataError(f"{where} must be {KINDS[kind]}, not {shown(value)}")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise DataError(f"{where} must be an integer of at most 15 digits, not {shown(value)}")
    return value


def name(record: Mapping[str, Any], key: str, where: str) -> str | None:
    """An optional string; null and "" are none, a whole number becomes text."""
    value = record.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(typed(value, int, f"{where}: {key!r}"))
    return None if value is None else typed(value, str, f"{where}: {key!r}") or None


def ident(record: object, key: str, where: str) -> str:
    """An id, which must be there; some files write it as a number."""
    if not (name(typed(record, dict, where), key, where) or "").strip():
        value_of(record, key, str, where)
        raise DataError(f"{where}: {key!r} is empty")
    return str(typed(record, dict, where)[key])


def model(kind: type[M], content: object, source: str, manual: str = "") -> M:
    """A table that a person wrote, as a model. Raises SuiteError: source, key, what is wrong and what was meant.

    Of several mistakes an unknown key is told first: it explains what is missing; so does an empty list. What is
    missing is told together, with the `manual` that has a whole file.
    """
    from pydantic import ValidationError

    try:
        # As JSON, since a list is a tuple there; and strict: true is no number, and "5" none either.
        return kind.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False)
    empty = (one["type"] == "too_short" and not one["input"] for one in found)
    telling = (one for one, none in zip(found, empty, strict=True) if none or one["type"] == "extra_forbidden")
    wrong = next(telling, found[0])
    path = [part for part in wrong["loc"] if isinstance(part, int) or not _KIND.match(part)]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    said = re.sub(r"^(Input|Tuple|String) should", "must", wrong["msg"].removeprefix("Value error, "))
    said = re.sub("a valid (tuple|array)", "a list", said).replace("a valid string", "a text")
    said = said.replace(" after validation", "")
    if wrong["type"] == "extra_forbidden":
        said = f"unknown key{did_you_mean(str(path[-1]), _keys(kind, path[:-1]))}"
    elif place == "schema" and wrong["type"] == "literal_error":
        wanted = wrong.get("ctx", {}).get("expected")
        said = f"schema {shown(wrong['input'])} is not one this version reads (wanted {wanted}): update memeval"
    elif wrong["type"] == "missing":
        lacking = [
            str(one["loc"][-1]) for one in found if one["type"] == "missing" and one["loc"][:-1] == wrong["loc"][:-1]
        ]
        place = place.removesuffix(lacking[0]).rstrip(".")
        said = f"missing: {', '.join(lacking)}{f' ({manual} shows a whole file)' if manual else ''}"
    elif wrong["type"] != "value_error":
        said = f"{said} (is {shown(wrong['input'])})"
    raise SuiteError(f"{source}: {place}: {said}" if place else f"{source}: {said}")


def valued(check: Callable[[str], T], name: str) -> T:
    """What a check makes of a name in a table; its UsageError is the ValueError of which `model` tells the place."""
    try:
        return check(name)
    except UsageError as error:
        raise ValueError(str(error)) from None


def _keys(kind: "type[BaseModel]", path: Sequence[int | str]) -> list[str]:
    """The keys of a model, or of the one that its fields hold at a place."""
    known = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    for place, part in enumerate(path):
        if isinstance(part, str):
            inner = [one for one in (known.get(part), *get_args(known.get(part))) if hasattr(one, "model_fields")]
            return _keys(inner[0], path[place + 1 :]) if inner else []
    return list(known)


def shown(value: object) -> str:
    """A value as it may stand in an error: short, on one line.

    >>> shown("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"
    """
    try:
        text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    except (RecursionError, ValueError):  # nested too deep; a number of thousands of digits
        text = f"a {type(value).__name__} that is too large to show"
    return text if len(text) <= 40 else text[:39] + "…"


def countable(number: float) -> bool:
    """Whether a number can be a score: finite, and no larger than can be reckoned with.

    >>> countable(-3.5), countable(math.inf), countable(1e300)
    (True, False, False)
    """
    return math.isfinite(number) and abs(number) <= FARTHEST


def finite(value: Any) -> Any:
    """JSON values in which a number that could not be computed is null: JSON has no NaN and nothing infinite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value
