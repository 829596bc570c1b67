"""What a model's own page may say of these results: a section of a card, and Hugging Face's evaluation results.

Metadata is written by huggingface_hub's own writers, never by hand.
"""

import math
from collections.abc import Sequence

from memeval.core.errors import PrerequisiteError
from memeval.report import cells
from memeval.report.board import Leaderboard, Row
from memeval.report.cells import plain
from memeval.report.markdown import escape
from memeval.report.methods import command

NOTE = "reranking of memories with memeval; not an official score of the data set's makers"


def cards(boards: Sequence[Leaderboard]) -> dict[str, tuple[str, str]]:
    """System → card and evaluation results, for each ranked one. Raises PrerequisiteError without huggingface_hub."""
    found: dict[str, tuple[str, str]] = {}
    names = dict.fromkeys(row.system for board in boards for row in board.ranked)
    for name in names:
        rows = [(board, row) for board in boards for row in board.ranked if row.system == name]
        found[name] = card(name, rows), evaluation(rows)
    return found


def card(name: str, rows: Sequence[tuple[Leaderboard, Row]]) -> str:
    """A model card's metadata (`model-index`) and its section on evaluation."""
    try:
        from huggingface_hub import EvalResult, ModelCardData
    except ImportError:
        raise PrerequisiteError("model cards need huggingface_hub: pip install huggingface_hub") from None
    results = [
        EvalResult(
            task_type="text-ranking",
            task_name="Reranking of memories",
            dataset_type=plain(board.card.name),
            dataset_name=plain(f"{board.card.name} {board.card.version}"),
            metric_type=measure.lower(),
            metric_name=measure,
            metric_value=round(row.estimates[measure].value, 6),
        )
        for board, row in rows
        for measure in board.measures
        if measure in row.estimates and math.isfinite(row.estimates[measure].value)
    ]
    data = ModelCardData(model_name=plain(name), eval_results=results or None)
    lines = [f"---\n{data.to_yaml()}\n---\n", "## Evaluation on agent memory\n"]
    for board, row in rows:
        lines += [
            f"### {escape(plain(board.label))} {escape(plain(board.card.version))}\n",
            f"{escape(cells.basis(board))}; 95 % intervals;"
            f" first stage {escape(plain(board.signature.first_stage))}.\n",
            f"| measure | value | against {escape(board.against)} |\n|:--|--:|--:|",
            *(
                f"| {escape(measure)} | {escape(cells.estimate(row.estimates.get(measure)))}"
                f" | {escape(cells.versus(board, row, measure))} |"
                for measure in board.measures
            ),
            f"\nMade with `{plain(command(row)).replace('`', '')}` (memeval {plain(row.result.signature.memeval)}).\n",
        ]
    return "\n".join(lines)


def evaluation(rows: Sequence[tuple[Leaderboard, Row]]) -> str:
    """`.eval_results/*.yaml`: one entry for each data set, the headline measure."""
    try:
        import yaml
        from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    except ImportError:
        raise PrerequisiteError("evaluation results need huggingface_hub: pip install huggingface_hub") from None
    entries = [
        EvalResultEntry(
            dataset_id=plain(board.card.name),
            task_id=f"{board.headline}, {plain(board.signature.first_stage)} at {board.signature.depth}",
            value=round(row.estimates[board.headline].value, 6),
            notes=f"{NOTE}; {cells.estimate(row.estimates[board.headline])}, {cells.basis(board)}",
        )
        for board, row in rows
        if math.isfinite(row.estimates[board.headline].value)
    ]
    text: str = yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True)
    return text
