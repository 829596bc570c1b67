"""Gates: what must hold of a system compared with its baseline, as values in a benchmark file.

[[gates]]
system = "bm25"                  # a system of the suite; "*" (default): every one but the controls
dataset = "hard-cases"           # default: every data set of the suite
measure = "NDCG@10"              # quality: the paired difference of this measure, query by query
category = "temporal"            # only these queries; "*": every category is a gate of its own
margin = 0.02                    # a smaller drop is never a regression
floor = 0.35                     # the mean may not be below; without a margin, nothing else is asked
must_pass = ["rosa:q3"]          # queries whose value must be above 0; likewise
usage = ["calls"]                # counts per query that may not rise: what the system tells, such as calls or tokens
coverage = 1.0                   # least share of queries that did not fail; default: the baseline's
frozen = true                    # model, prompt and settings must be those of the baseline
latency = 1.25                   # largest ratio of median seconds, timed in turn with another checkout
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from memeval.core.values import valued
from memeval.measures.ranx import parse
from memeval.rerankers import controls

MARGIN = 0.02
"""The margin of a gate that names none."""

CONTROLS = tuple(controls.CONTROLS)
"""Systems that "*" leaves out: they bound the others."""


class Gate(BaseModel):
    """One `[[gates]]` table; see the module's head. A gate without any key guards NDCG@10 of every system."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str = "*"
    dataset: str | None = None
    measure: str | None = None
    category: str | None = None
    margin: Annotated[float, Field(gt=0, le=1)] | None = None
    floor: Annotated[float, Field(ge=0, le=1e9)] | None = None
    must_pass: tuple[str, ...] = ()
    usage: tuple[str, ...] = ()
    coverage: Annotated[float, Field(ge=0, le=1)] | None = None
    frozen: bool = False
    latency: Annotated[float, Field(gt=1, le=1e9)] | None = None

    @field_validator("measure")
    @classmethod
    def _known(cls, measure: str | None) -> str | None:
        return None if measure is None else valued(parse, measure).name

    @model_validator(mode="after")
    def _complete(self) -> "Gate":
        judged = self.category is not None or self.margin is not None or self.floor is not None or self.must_pass
        alone = not (self.usage or self.frozen or self.latency is not None or self.coverage is not None)
        if self.measure is None and (judged or alone):
            return self.model_copy(update={"measure": "NDCG@10"})
        return self

    @property
    def quality(self) -> bool:
        """Whether differences are tested: not where a measure is named for a floor or for queries alone."""
        return self.measure is not None and (self.margin is not None or (self.floor is None and not self.must_pass))

    @property
    def least(self) -> float:
        """The margin, or the default one."""
        return MARGIN if self.margin is None else self.margin

    def covers(self, dataset: str, system: str) -> bool:
        """Whether the gate is about this system on this data set."""
        named = system not in CONTROLS if self.system == "*" else system == self.system
        return named and self.dataset in (None, dataset)


DEFAULT = (Gate.model_validate({}),)
"""The gates of a suite that declares none."""
