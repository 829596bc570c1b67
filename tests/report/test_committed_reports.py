"""What is committed under reports/ is what the committed results say."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_committed_reports_are_made_from_committed_results_byte_for_byte(tmp_path: Path) -> None:
    names = ["index.html", "index.md", "index.csv", "index.tex"]
    outputs = [word for name in names for word in ("-o", str(tmp_path / name))]
    # Without any data: what is embedded in memeval and what lies beside the results is enough.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MEMEVAL_DATA": str(tmp_path / "none")}
    command = [sys.executable, "-m", "memeval", "report", "results", "--texts", "embedded", *outputs]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=200)
    for name in names:
        same = (tmp_path / name).read_bytes() == (ROOT / "reports" / name).read_bytes()
        assert same, f"reports/{name} is not what results/ say: run `make report`"
