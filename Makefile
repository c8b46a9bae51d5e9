# The commands of a developer. Another Python: make test PYTHON=.venv/bin/python
PYTHON ?= python

.DEFAULT_GOAL := help
.PHONY: help check test docs site bench

help:  ## list these targets
	@grep -E '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:[^#]*## /\t/' | expand -t 10

check:  ## what needs no run: ruff, formatting, mypy
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

test:  ## all tests (the fast ones: pytest -m 'not slow')
	$(PYTHON) -m pytest

docs:  ## run the README's commands, write down what they print, and check it
	PYTHONPATH=tests:tests/stand_in $(PYTHON) tests/law/test_readme.py
	$(PYTHON) -m pytest tests/law/test_readme.py

site:  ## build the documentation as a site in site/, and end where there is a warning
	$(PYTHON) ci/reference.py
	$(PYTHON) -m zensical build --strict

bench:  ## all benchmarks, one after another, on a quiet machine
	OMP_NUM_THREADS=1 $(PYTHON) -m bench.start
	OMP_NUM_THREADS=1 $(PYTHON) -m bench.step
	$(PYTHON) -m bench.threads
	OMP_NUM_THREADS=1 $(PYTHON) -m bench.plan
	$(PYTHON) -m bench.overhead
	$(PYTHON) -m bench.grid
	$(PYTHON) -m bench.results
	OMP_NUM_THREADS=1 $(PYTHON) -m bench.asha
	OMP_NUM_THREADS=1 $(PYTHON) -m bench.fused
	$(PYTHON) -m bench.together
	OMP_NUM_THREADS=1 $(PYTHON) -m bench.parts
	$(PYTHON) -m bench.score
	$(PYTHON) -m bench.own
	$(PYTHON) -m bench.diagnosis
