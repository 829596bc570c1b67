"""Help topics: pages of Markdown that come with the package."""

from pathlib import Path

from memeval.core.errors import UsageError, did_you_mean
from memeval.core.terminal import aligned

FOLDER = Path(__file__).parent / "help"


def known() -> dict[str, str]:
    """Topic → its first line, without the mark of a heading."""
    pages = sorted(FOLDER.glob("*.md"))
    return {page.stem: page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for page in pages}


def page(topic: str | None) -> str:
    """A topic's page, or without one the list of topics. Raises UsageError for a topic that is none."""
    topics = known()
    if topic is None:
        return "\n".join(aligned(list(topics.items()), left=(0, 1)))
    if topic not in topics:
        raise UsageError(f"unknown topic {topic!r}{did_you_mean(topic, topics)}")
    return (FOLDER / f"{topic}.md").read_text(encoding="utf-8")
