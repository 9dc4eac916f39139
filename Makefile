# make demo: environment, synthetic volume, training, export, prediction, scores, pictures. make test: the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO ?= demo
# processes that share the tests, a file each
WORKERS ?= 2

.PHONY: demo test lint types clean

# One resolve for everything, so that torch and the ONNX runtime agree on their CUDA libraries.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV) || (tools/debian-packages && $(PYTHON) -m venv $(VENV))
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all,dev]"
	touch $@

demo: $(STAMP)
	BIN=$(BIN) DEMO=$(DEMO) tools/demo

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy volseg_core plugins/*/plugin.py

clean:
	rm -rf $(VENV) $(DEMO) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
