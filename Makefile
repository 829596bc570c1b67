# Two commands for a newcomer: `make bench` and `make test`. Each makes the environment it needs first.

PYTHON ?= python3
SUITE ?= hard-cases
BASELINE ?= results/baselines/hard-cases.json
BIN := .venv/bin
READY := .venv/.ready
VLLM := .venv-vllm/bin
VLLM_READY := .venv-vllm/.ready

.DEFAULT_GOAL := help
.PHONY: help setup bench bench-speed distil test test-browser test-vllm check gate baseline report clean

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## make the environment (.venv) with everything that runs on a CPU

# torch goes first and by itself: a range alone would pull gigabytes of CUDA packages.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all]' --group dev
	@touch $(READY)

bench: $(READY) ## run a benchmark: make bench [SUITE=benchmarks/locomo.toml]
	@$(BIN)/memeval run $(SUITE)

bench-speed: $(READY) ## compare the speed of local engines: the model card's, sentence-transformers', memeval's
	@$(BIN)/python benchmarks/speed_local.py

# About an hour on two cores that nothing else uses; what was finished is not made again.
distil: $(READY) ## what each stage of distilling gives: trains, tests, and writes reports/distil.html
	@$(BIN)/python benchmarks/distil/ablation.py train
	@$(BIN)/python benchmarks/distil/ablation.py test
	@$(BIN)/python benchmarks/distil/page.py

test: $(READY) ## run the tests
	@$(BIN)/python -m pytest --numprocesses 2

# vLLM pins its own torch and lives in an environment of its own; the list is whole, so nothing is resolved.
$(VLLM_READY): constraints-vllm.txt
	rm -rf .venv-vllm
	$(PYTHON) -m venv .venv-vllm
	$(VLLM)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip
	$(VLLM)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement constraints-vllm.txt
	$(VLLM)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(VLLM_READY)

test-vllm: $(VLLM_READY) ## run the tests that need vLLM, on the processor
	@$(VLLM)/python -m pytest tests/on_vllm

test-browser: $(READY) ## run the tests of the page in Chromium (apt-get install chromium)
	@$(BIN)/python -m pytest -m browser tests/report/test_browser.py

check: $(READY) ## format, lint, types, layers
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

gate: $(READY) ## run the embedded suite from scratch and hold it against its baseline
	@rm -rf .make/gate
	@MEMEVAL_CACHE=.make/gate/cache $(BIN)/memeval run hard-cases --results .make/gate/results -o .make/gate/report.html --quiet >/dev/null
	@$(BIN)/memeval check .make/gate/results --baseline $(BASELINE) --junit .make/gate/junit.xml --markdown .make/gate/comment.md

baseline: $(READY) ## accept the embedded suite's numbers: make baseline REASON="why"
	@test -n "$(REASON)" || { echo 'make baseline REASON="why these numbers are right"' >&2; exit 2; }
	@rm -rf .make/gate
	@MEMEVAL_CACHE=.make/gate/cache $(BIN)/memeval run hard-cases --results .make/gate/results -o .make/gate/report.html --quiet >/dev/null
	@$(BIN)/memeval check .make/gate/results --baseline $(BASELINE) --update --reason "$(REASON)"

# Only texts that come with memeval, so that the same results give the same bytes on every machine.
report: $(READY) ## write reports/ from results/
	@$(BIN)/memeval report results --texts embedded -o reports/index.html -o reports/index.md -o reports/index.csv \
		-o reports/index.tex

clean: ## remove the environment and everything generated
	rm -rf .venv .venv-vllm build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
