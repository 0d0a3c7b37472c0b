# make demo, make web, make test: each creates and fills its environment first, when it is missing or its requirements changed.

PYTHON ?= python3
VENV ?= .venv
VENV_OPENMMLAB ?= .venv-openmmlab
VENV_WEB ?= .venv-web
JOBS ?= 2
PYTEST_ARGS ?=

INSTALL_INPUTS := $(wildcard requirements/*.txt) pyproject.toml setup.py
# One thread for each test process: the models are tiny, and threads would only wait for each other. Compiled modules
# are kept, also where the shell says otherwise: compiling the tests takes as long as importing torch.
TEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE PYTHONDONTWRITEBYTECODE=
# Each process begins with its half of the tests, so that files' fixtures are made once, and takes over from the other.
PARALLEL := -n $(JOBS) --dist worksteal

.PHONY: demo web test test-fast test-web test-readme coverage test-openmmlab test-open-clip-versions docs doctor lint format wheel clean distclean

demo: $(VENV)/installed
	$(VENV)/bin/python tools/demo.py

# The page in a browser, with the embedded model; other models: `$(VENV_WEB)/bin/python -m mmseg_clipsurgery web --help`.
web: $(VENV_WEB)/installed
	$(VENV_WEB)/bin/python -m mmseg_clipsurgery web --arch scenes

test: $(VENV)/installed
	$(TEST) $(VENV)/bin/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

# The tests that are not marked slow: a minute and a half on two cores.
test-fast: $(VENV)/installed
	$(TEST) $(VENV)/bin/python -m pytest $(PARALLEL) -m 'not slow' $(PYTEST_ARGS)

# The page in a browser, with gradio; where there is no Chromium (`apt-get install chromium`) its tests are skipped.
test-web: $(VENV_WEB)/installed
	$(TEST) $(VENV_WEB)/bin/python -m pytest -m browser tests/web $(PYTEST_ARGS)

# The share of the package's lines that the tests run; in the browser and on OpenMMLab's stack they count for nothing.
coverage: $(VENV)/installed
	$(TEST) $(VENV)/bin/python -m coverage run -m pytest $(PARALLEL) $(PYTEST_ARGS)
	$(VENV)/bin/python -m coverage combine --quiet
	$(VENV)/bin/python -m coverage report

# README's commands and blocks, in a fresh environment that pip fills from a wheel of this checkout.
test-readme: $(VENV)/installed
	$(TEST) $(VENV)/bin/python -m pytest tests/docs/installed_readme.py $(PYTEST_ARGS)

# The tests that face MMSegmentation, on OpenMMLab's mmsegmentation 1.2.2.
test-openmmlab: $(VENV_OPENMMLAB)/installed
	$(TEST) $(VENV_OPENMMLAB)/bin/python -m pytest $(PARALLEL) -m mmseg $(PYTEST_ARGS)

# The tests that face open_clip, with several of its releases; fetches them from the package index.
test-open-clip-versions: $(VENV)/installed
	$(TEST) $(VENV)/bin/python tools/check_open_clip_versions.py $(PYTEST_ARGS)

# The docs site, in build/docs: blocks of the notebook are run, a warning is an error.
docs: $(VENV)/docs-installed
	$(VENV)/bin/python -m sphinx --builder html --fail-on-warning --keep-going --quiet docs build/docs
	@echo 'open build/docs/index.html'

doctor: $(VENV)/installed
	$(VENV)/bin/python -m mmseg_clipsurgery doctor

lint: $(VENV)/installed
	$(VENV)/bin/ruff check --output-format concise .
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/mypy

format: $(VENV)/installed
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

wheel: $(VENV)/installed
	$(VENV)/bin/python -m pip wheel . --no-deps --no-build-isolation --wheel-dir dist

$(VENV)/installed: $(INSTALL_INPUTS)
	$(call create,$(VENV),onedl)
	touch $@

$(VENV)/docs-installed: $(VENV)/installed requirements/docs.txt
	$(VENV)/bin/python -m pip install --quiet --requirement requirements/docs.txt
	touch $@

# An environment over the first one: what differs there wins.
$(VENV_WEB)/installed: $(VENV)/installed requirements/web.txt
	test -d $(VENV_WEB) || $(PYTHON) -m venv $(VENV_WEB)
	cd $(VENV_WEB)/lib/python3*/site-packages && echo '$(abspath $(VENV))'/lib/python3*/site-packages > base.pth
	$(VENV_WEB)/bin/python -m pip install --quiet --requirement requirements/web.txt
	touch $@

$(VENV_OPENMMLAB)/installed: $(INSTALL_INPUTS) tests/helpers/openmmlab/stand_in.py
	$(call create,$(VENV_OPENMMLAB),openmmlab)
	$(VENV_OPENMMLAB)/bin/python tests/helpers/openmmlab/stand_in.py
	touch $@

# create FOLDER,REQUIREMENTS
define create
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("the pinned packages need Python 3.11 or newer, $(PYTHON) is %d.%d: say make PYTHON=..." % sys.version_info[:2])'
	@echo 'filling $(1) from requirements/$(2).txt: torch is large, this takes minutes'
	$(1)/bin/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(1)
	$(1)/bin/python -m pip install --requirement requirements/$(2).txt
	$(1)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
endef

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(VENV_OPENMMLAB) $(VENV_WEB)
