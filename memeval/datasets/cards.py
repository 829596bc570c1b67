"""What is known of a loader's data sets without their files, as data: `data/<loader>.toml`.

version             of the pinned files
licence, url, …     fields of `Dataset`, of all of the loader's data sets; without a url it is that of the first file
[names.<name>]      one data set: `about`, and what is otherwise for it
[files.<file>]      a pinned file: the fields of `DataFile`
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.datasets.download import DataFile


@dataclass(frozen=True, slots=True)
class LoaderCard:
    """The card of a loader. `known` are fields of `Dataset` by the name of the data set, `about` among them."""

    version: str
    known: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, DataFile]

    @property
    def about(self) -> dict[str, str]:
        """One line about each data set."""
        return {name: known["about"] for name, known in self.known.items()}

    def facts(self, name: str) -> Mapping[str, Any]:
        """Fields of `Dataset` that hold whatever its files hold."""
        return self.known[name]


def read(loader: str) -> LoaderCard:
    """The card of one of the loaders in this folder."""
    said = files.toml(Path(__file__).parent / "data" / f"{loader}.toml")
    version, names, pinned = said.pop("version"), said.pop("names"), said.pop("files", {})
    found = {name: DataFile(**file) for name, file in pinned.items()}
    if "url" not in said:
        said["url"] = next(iter(found.values())).url
    known = {
        name: {key: tuple(value) if isinstance(value, list) else value for key, value in {**said, **own}.items()}
        for name, own in names.items()
    }
    return LoaderCard(version, known, found)
