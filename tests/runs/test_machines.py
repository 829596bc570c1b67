"""What docs/machines.md says of shards, run as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PAGE = (Path(__file__).parents[2] / "docs" / "machines.md").read_text(encoding="utf-8")
SUITE = """
schema = 1
name = "spread"
datasets = ["hard-cases"]

[[systems]]
model = "first-stage"

[[systems]]
model = "bm25"
"""
SHARDS = 2


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def shell(folder: Path, script: str, **variables: str) -> None:
    """Runs a script where `memeval` is a command and `srun` runs what it is given."""
    commands = folder / "bin"
    commands.mkdir(exist_ok=True)
    for name, line in (("memeval", f'exec "{sys.executable}" -m memeval "$@"'), ("srun", 'exec "$@"')):
        (commands / name).write_text(f"#!/bin/sh\n{line}\n")
        (commands / name).chmod(0o755)
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {
        **os.environ,
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": paths,
        **variables,
    }
    done = subprocess.run(
        ["bash", "-euc", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("spread/hard-cases/*") if ".times." not in path.name}


@pytest.mark.parametrize("way", ["SLURM", "Kubernetes"])
def test_shards_of_an_array_or_a_job_are_merged_into_the_bytes_of_one_run(way: str, tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text(SUITE)
    array, merge = blocks("bash")
    [job] = blocks("yaml")
    if way == "SLURM":
        [count] = re.findall(r"#SBATCH --array=1-(\d+)\n", array)
        assert f"an {'eighth' if count == '8' else '?'} of the queries" in PAGE
        for part in range(1, SHARDS + 1):
            shell(tmp_path, array, SLURM_ARRAY_TASK_ID=str(part), SLURM_ARRAY_TASK_COUNT=str(SHARDS))
    else:
        spec = yaml.safe_load(job)["spec"]
        [container] = spec["template"]["spec"]["containers"]
        assert [str(spec["completions"])] == [one["value"] for one in container["env"] if one["name"] == "SHARDS"]
        assert container["command"] == ["bash", "-c"]
        [script] = container["args"]
        for index in range(SHARDS):
            shell(tmp_path, script, JOB_COMPLETION_INDEX=str(index), SHARDS=str(SHARDS))
    shell(tmp_path, merge)
    shell(tmp_path, "memeval run suite.toml --results whole -o whole.html --quiet")
    assert files(tmp_path / "results") == files(tmp_path / "whole") != {}
    assert (tmp_path / "report.html").is_file()
