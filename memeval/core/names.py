"""Names of systems and data sets: kind/argument[@revision][?option=value&…], taken apart and put together here alone.

The argument and the revision are taken as they stand; options are written as in URLs, so that a value may hold any
letter (`+` or `%20` is a space, `%26` an `&`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote_plus, urlencode

from memeval.core import files
from memeval.core.errors import UsageError, did_you_mean
from memeval.core.outside import secret, secret_option, struck
from memeval.core.values import shown


@dataclass(frozen=True, slots=True)
class Name:
    """A name in its parts. Its text is the canonical spelling: options in order, whatever the order they came in."""

    kind: str
    argument: str | None = None
    revision: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.path + (f"?{written(dict(sorted(self.options.items())))}" if self.options else "")

    @property
    def path(self) -> str:
        """The name without its options."""
        argument = "" if self.argument is None else f"/{self.argument}"
        return self.kind + argument + (f"@{self.revision}" if self.revision else "")

    def revised(self) -> "Name":
        """The name of something that has revisions: one is what follows the argument's last `@`, but in a folder's."""
        if self.argument is None or "@" not in self.argument or files.is_folder(Path(self.argument)):
            return self
        argument, _, revision = self.argument.rpartition("@")
        return replace(self, argument=argument, revision=revision or None)


def parse(text: str, what: str = "system") -> Name:
    """Takes a name apart, a revision left in the argument (`Name.revised`); `what` begins its errors.

    Raises UsageError where the options do not read option=value, where one stands twice, and for a secret.

    >>> parse("beir/fiqa?split=dev", "data set")
    Name(kind='beir', argument='fiqa', revision=None, options={'split': 'dev'})
    >>> str(parse("openai/m?url=http://a/v1&mode=listwise"))
    'openai/m?mode=listwise&url=http://a/v1'
    """
    path, said = apart(text)
    if kept := secret(text):
        raise UsageError(f"{what} {struck(path)!r}: its name holds {kept}: keys come from the shell")
    options: dict[str, str] = {}
    for part in said[1:].split("&") if said else ():
        option, sign, value = (unquote_plus(piece) for piece in part.partition("="))
        if not (option and sign) or option in options:
            raise UsageError(
                f"{what} {text!r}: what follows '?' must read option=value&option=value, each once, not {shown(part)}"
            )
        if kept := secret_option(option, value):
            raise UsageError(f"{what} {path!r}: option {option!r} holds {kept}: keys come from the shell")
        options[option] = value
    kind, slash, argument = path.partition("/")
    return Name(kind, argument if slash else None, None, options)


def check(text: str, given: Iterable[str], known: Iterable[str], what: str = "system") -> None:
    """Raises UsageError for an option that is not known."""
    taken = list(known)
    for option in given:
        if option not in taken:
            remedy = did_you_mean(option, taken) if taken else " (it takes none)"
            raise UsageError(f"{what} {text!r}: unknown option {option!r}{remedy}")


def apart(text: str) -> tuple[str, str]:
    """A text before its first `?`, and from there on; any text will do.

    >>> apart("minilm?seed=3"), apart("minilm")
    (('minilm', '?seed=3'), ('minilm', ''))
    """
    path, mark, rest = text.partition("?")
    return path, mark + rest


def options(text: str) -> dict[str, str]:
    """The options that any text says, as far as it says some: names for tables are the user's own."""
    parts = (map(unquote_plus, part.partition("=")) for part in apart(text)[1][1:].split("&"))
    return {option: value for option, sign, value in parts if sign}


def without(text: str, *dropped: str) -> str:
    """A text without some options, the others as they stand.

    >>> without("minilm?seed=3&dtype=float16", "seed"), without("random?seed=3", "seed")
    ('minilm?dtype=float16', 'random')
    """
    path, said = apart(text)
    kept = [part for part in said[1:].split("&") if part and unquote_plus(part.partition("=")[0]) not in dropped]
    return path + (f"?{'&'.join(kept)}" if kept else "")


def more(text: str, said: str) -> str:
    """A text with further options, written as they are to stand.

    >>> more("minilm", "seed=3"), more("minilm?dtype=float16", "seed=3")
    ('minilm?seed=3', 'minilm?dtype=float16&seed=3')
    """
    return f"{text}{'&' if '?' in text else '?'}{said}"


def written(options: Mapping[str, str]) -> str:
    """Options as they follow `?`, in the order given."""
    return urlencode(options, safe="/:,")
