"""Per-query values as Parquet: a line for each data set, system, query and measure, in full precision."""

import io
from collections.abc import Sequence

from memeval.core.errors import PrerequisiteError
from memeval.report.board import Leaderboard


def render(boards: Sequence[Leaderboard]) -> bytes:
    """One file of all leaderboards. Raises PrerequisiteError without pyarrow."""
    try:
        import pyarrow as arrow
        import pyarrow.parquet
    except ImportError:
        raise PrerequisiteError("Parquet needs pyarrow: pip install pyarrow") from None
    columns: dict[str, list[object]] = {name: [] for name in ("dataset", "system", "query_id", "store_id", "category")}
    columns |= {"measure": [], "value": []}
    for board in boards:
        for row in board.rows:
            result = row.result
            n = len(result.query_ids)
            for measure, values in result.values.items():
                columns["dataset"] += [board.label] * n
                columns["system"] += [row.system] * n
                columns["query_id"] += result.query_ids
                columns["store_id"] += result.store_ids
                columns["category"] += result.categories
                columns["measure"] += [measure] * n
                columns["value"] += values
    schema = arrow.schema(
        [(name, arrow.dictionary(arrow.int32(), arrow.string())) for name in list(columns)[:-1]]
        + [("value", arrow.float64())]
    )
    stream = io.BytesIO()
    pyarrow.parquet.write_table(arrow.table(columns, schema=schema), stream, compression="zstd")
    return stream.getvalue()
