# `make demo` and `make test` need nothing but Python 3.11+ and a network; the rest follows.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS ?= dev
# Two workers with a thread each: most tests are too small to fill a second core.
PARALLEL := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist worksteal

.PHONY: demo test test-fast test-ray test-slurm test-models sweep torture audit sbom lint docs linkcheck wheel install clean

demo: $(STAMP)  ## the main job on scikit-learn's digits
	$(BIN)/normlab compare --demo --yes

test: $(STAMP)  ## all tests; a run that executes none fails (tests/conftest.py)
	$(PARALLEL)

test-fast: $(STAMP)  ## those that are not marked as slow: under two minutes on two cores
	$(PARALLEL) -m "not slow"

test-ray: $(STAMP)  ## a real Ray cluster of two nodes, in a network of its own, as root
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[ray]"
	NORMLAB_TEST_RAY=1 OMP_NUM_THREADS=1 unshare --net bash -c \
	  "ip link set lo up && $(BIN)/pytest --numprocesses 0 tests/engines/test_ray.py"

test-slurm: $(STAMP)  ## a real SLURM of two nodes on the loopback, as root, where it is installed
	OMP_NUM_THREADS=1 tests/engines/slurm.sh $(BIN)/pytest --numprocesses 0 tests/engines/test_slurm.py

# Beside the CPU build of torch, torchvision's wheel imports only with the schemas that the tests
# define (tests/helpers/real_libraries.py), so that these libraries stay apart from the others.
MODELS := build/models
MODEL_TESTS := tests/norms/surgery/test_real_models.py tests/norms/surgery/test_real_layers.py \
	tests/norms/surgery/test_segmentation_networks.py tests/norms/surgery/test_tools_by_type.py \
	tests/networks/test_libraries.py tests/explain/test_real_networks.py \
	tests/test_examples_with_libraries.py
test-models: $(STAMP)  ## the real timm and torchvision: skips by name where they cannot be had
	test -d $(MODELS)/timm || $(BIN)/python -m pip install --quiet --no-deps --target $(MODELS) \
		--requirement tests/models.txt || echo "timm and torchvision could not be installed"
	PYTHONPATH=$(MODELS) $(PARALLEL) $(MODEL_TESTS)

sweep: $(STAMP)  ## 140 models of timm and torchvision converted, every refusal with its cause: nightly
	test -d $(MODELS)/timm || $(BIN)/python -m pip install --quiet --no-deps --target $(MODELS) \
		--requirement tests/models.txt || echo "timm and torchvision could not be installed"
	PYTHONPATH=$(MODELS) OMP_NUM_THREADS=1 nice -n 15 $(BIN)/python benchmarks/conversion.py --all 140

# One kind with a number and a seed: make torture TORTURE="--kind damages --number 2000 --seed 1"
TORTURE ?=
torture: $(STAMP)  ## kills, damages, bad input, injected names, lost writers: hours (tests/torture)
	nice -n 10 $(BIN)/python -m tests.torture $(TORTURE)

# PyPI's answer for one version of one package, as pip-audit asks for it; mirrors may lack it.
ADVISORIES := https://pypi.org/pypi/pip/25.0/json
# Tools of the supply chain, in a place of their own: what they need must not decide what we pin.
TOOLS := build/tools
$(TOOLS)/bin/pip-audit:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet "pip-audit==2.9.0" "cyclonedx-bom==7.1.0" || \
		echo "skipped: pip-audit and cyclonedx-bom cannot be installed here"

audit: $(TOOLS)/bin/pip-audit  ## known faults of the versions in constraints.txt; skips by name offline
	@if ! test -x $<; then echo "audit skipped: pip-audit is not installed"; \
	elif ! $(TOOLS)/bin/python -c "import urllib.request as u; u.urlopen('$(ADVISORIES)', timeout=20)" \
		2>/dev/null; then echo "audit skipped: the advisories of PyPI cannot be reached"; \
	else $< --requirement constraints.txt --no-deps --disable-pip --strict --progress-spinner off; fi

sbom: $(TOOLS)/bin/pip-audit  ## at a release: build/normlab.cdx.json, what the pinned set consists of
	$(TOOLS)/bin/cyclonedx-py requirements constraints.txt --pyproject pyproject.toml \
		--output-reproducible --of JSON --output-file build/normlab.cdx.json
	@echo build/normlab.cdx.json

lint: $(STAMP)  ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed-docs  ## the site in build/docs, offline, warnings as errors
	$(BIN)/sphinx-build --builder html --nitpicky --fail-on-warning --keep-going --quiet docs build/docs
	@echo "build/docs/index.html"

linkcheck: $(VENV)/.installed-docs  ## the links to other sites; skipped, with their list, offline
	@if $(BIN)/python -c "import urllib.request as r; r.urlopen('https://example.com', timeout=9)" 2>/dev/null; \
	then $(BIN)/sphinx-build --builder linkcheck --quiet docs build/linkcheck; \
	else echo "linkcheck: skipped, other sites cannot be reached; not asked:"; \
	grep -rhoE 'https?://[^] )>"`]+' docs --include='*.md' | sort -u; fi

wheel: $(STAMP)  ## dist/normlab-….whl with the kernels compiled for this machine
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

install: $(STAMP)

# torch first and alone, so that the pinned build is there when the others ask for "torch".
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	touch $(STAMP)

$(VENV)/.installed-docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache
