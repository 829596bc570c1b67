"""Local servers that stand for hosted teachers."""

from tests.rerankers.conftest import listen as listen
from tests.rerankers.conftest import serve as serve
