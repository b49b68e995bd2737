# Needs make, Python 3.11 or newer with its headers, and a C compiler. Everything else goes into .venv.
# ARGS are passed to what a target runs:  make run ARGS='--seconds 15 --json'   make test ARGS='-k rules'

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
ifndef BUILDING  # `make -j` would have two pips, or two benchmarks, in each other's way; only `build` knows what may meet
.NOTPARALLEL:
endif
MAKEFLAGS += --no-print-directory

ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# What builds the site is apart from the rest: it may ask for other versions of what both need.
DOCS := $(VENV)/docs
# Expanded only where .venv is created: the first of these that is new enough.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.14 python3.12 python3.11,\
	$(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
MODE := $(if $(filter-out 0,$(TIDEGATE_DEBUG)),debug,release)
NATIVE := $(wildcard src/tidegate/core/*.pyx src/tidegate/core/*.pxd csrc/*.c csrc/*.h) setup.py
ASAN := build/sanitized
SANITIZERS := address,undefined
BENCH_DIR ?= build/bench
RELEASE := build/release-tools
DIST := dist
COMMA := ,
SURGE_SHOWN := tidegate,confluent-kafka CoDel

# $(call quietly,what,commands): one line, and the commands' output only if they fail. A log for each target, because some
# are made at the same time.
define quietly
@mkdir -p build; echo "$(1) …" >&2; log=build/$(patsubst .%,%,$(@F)).log; begun=$$SECONDS; \
if ! ( $(2) ) >$$log 2>&1; then tail -n 80 $$log >&2; echo "Failed: $(1). All of it: $$log" >&2; exit 1; fi; \
echo "$(@F) $$((SECONDS - begun)) s" >>build/steps
endef

SIM := $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SEED),--seed $(SEED))

.PHONY: help run kafka app test faults kills soak guarantees sim surge-sim build built debug asan ctest fuzz bench bench-micro bench-e2e \
	bench-surge bench-peers bench-page lint format picture settings metrics errors figures docs dist sbom image lock clean
help: ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  \1\t/' | expand -t 14

run: build ## a sale on this machine; with TIDEGATE_KAFKA_BOOTSTRAP_SERVERS set: the sidecar
	@exec $(BIN)/tidegate $(if $(TIDEGATE_KAFKA_BOOTSTRAP_SERVERS)$(TIDEGATE_KAFKA_BOOTSTRAP_SERVERS_FILE),run,demo) $(ARGS)

# README, "Your own Kafka in five minutes".
TOPICS ?= shop.events
KAFKA_PORT ?= 9092
APP_PORT ?= 8080
APP_DATABASE ?= build/events.db

kafka: $(VENV)/.run ## an Apache Kafka on 127.0.0.1:9092 to try it on; TOPICS="orders clicks", KAFKA_PORT (Java 17 and Maven)
	@cd tests && exec ../$(BIN)/python -m harness.standalone --port $(KAFKA_PORT) $(TOPICS)

app: $(VENV)/.app ## the example app (FastAPI) on 127.0.0.1:8080, or APP_PORT
	@mkdir -p build
	@exec env APP_DATABASE='$(APP_DATABASE)' $(BIN)/python -m uvicorn app:app --app-dir examples/fastapi_app --port $(APP_PORT) --no-access-log

# In CI a test that failed runs once more, which the summary shows: machines are shared there, and many tests wait for
# something within seconds. Never where the checker found an event lost, or anything else that must not be.
AGAIN := $(if $(CI),--reruns 1 --rerun-except '[0-9] violations' --rerun-except Sanitizer -r aR)

# Fault tests have short sessions and fill both cores by themselves: they run alone. The others mostly wait.
test: build $(VENV)/.dev ## all tests; those on a real Kafka need Java 17 and Maven, those on a bad network Go
ifeq ($(strip $(ARGS)),)
	@faults=0; $(BIN)/python -m pytest $(AGAIN) tests/faults || faults=$$?; \
	$(BIN)/python -m pytest $(AGAIN) -n $(or $(JOBS),3) --dist loadfile --ignore=tests/faults && exit $$faults
else
	@exec $(BIN)/python -m pytest $(ARGS)
endif

# pip and the compiler do not wait for each other: the first build is what stands between a clone and the demo.
build: ## .venv, locked dependencies, native core in place
	@rm -f build/steps; $(MAKE) -j2 BUILDING=1 built; \
	[ ! -e build/steps ] || echo "Built in $$SECONDS s ($$(paste -sd, build/steps | sed 's/,/, /g'); logs in build/)." >&2

faults: build $(VENV)/.dev ## faults on a real Kafka, the long form; ROUNDS=100 for longer (20)
	@exec env TIDEGATE_TEST_FAULT_ROUNDS=$(or $(ROUNDS),20) $(BIN)/python -m pytest tests/faults $(ARGS)

kills: build $(VENV)/.dev ## kill -9 at random moments, 1,000 times or KILLS=5000
	@exec env TIDEGATE_TEST_KILLS=$(or $(KILLS),1000) $(BIN)/python -m pytest -s tests/faults/test_kills.py -k kill_9 $(ARGS)

soak: build $(VENV)/.dev ## memory over MINUTES=60 of backlogs, outages and slow apps
	@exec env TIDEGATE_TEST_SOAK_MINUTES=$(or $(MINUTES),60) $(BIN)/python -m pytest -s tests/faults/test_soak.py $(ARGS)

guarantees: build $(VENV)/.dev ## docs/guarantees.md from a run of the faults; ROUNDS=20 for the long form
	@mkdir -p build; rm -f build/faults.jsonl
	@env TIDEGATE_TEST_FAULT_ROUNDS=$(or $(ROUNDS),1) TIDEGATE_TEST_FAULT_ROWS=$(CURDIR)/build/faults.jsonl \
		$(BIN)/python -m pytest tests/faults --deselect tests/faults/test_page.py $(ARGS)
	@cd tests && ../$(BIN)/python -m faults.page ../build/faults.jsonl >../build/guarantees.md
	@mv build/guarantees.md docs/guarantees.md

sim: build $(VENV)/.dev ## simulated groups, faults by seed; SEEDS=10000 for longer, SEED=17 for one again
	@cd tests && exec ../$(BIN)/python -m sim $(SIM) $(ARGS)

surge-sim: build $(VENV)/.dev ## simulated surges, the ladder and the shed law; SEEDS=100 for longer, SEED=17 for one again
	@cd tests && exec ../$(BIN)/python -m surge $(SIM) $(ARGS)

debug: ## the native core with assertions and bounds checks (make test TIDEGATE_DEBUG=1 tests it)
	@$(MAKE) build TIDEGATE_DEBUG=1

# capture=sys: a report that ends the process must not end in a buffer.
asan: $(VENV)/.installed $(VENV)/.dev ## the native core's tests under AddressSanitizer and UBSan
	$(call quietly,Building with sanitizers,TIDEGATE_SANITIZE=$(SANITIZERS) $(BIN)/python setup.py -q build --build-lib $(ASAN)/lib)
	@preload="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)"; \
	env LD_PRELOAD="$$preload" PYTHONPATH=$(ASAN)/lib PYTHONMALLOC=malloc TIDEGATE_TEST_SANITIZED=1 \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		$(BIN)/python -m pytest -p no:cacheprovider --capture=sys $(AGAIN) $(if $(ARGS),$(ARGS),tests/core)

ctest: ## the C tests
	@$(MAKE) -C csrc test

fuzz: ## the C fuzz targets; SECONDS=60 for longer
	@$(MAKE) -C csrc fuzz $(if $(SECONDS),SECONDS=$(SECONDS))

# The surge takes the better part of an hour, so it is a target of its own; that it runs is shown all the same.
bench: bench-micro bench-e2e ## all benchmarks but the surge; results as JSON in BENCH_DIR; BRIEF=1 only shows that they run
ifdef BRIEF
	@exec $(BIN)/python -m benchmarks.surge --brief --warm 1 --base 1 --surge 2 --limit 1 --only '$(SURGE_SHOWN)'
endif

bench-micro: build $(VENV)/.dev ## benchmarks of the parts
	@mkdir -p $(BENCH_DIR)
	@exec $(BIN)/python -m pytest benchmarks/micro -o python_files='bench_*.py' --benchmark-only --benchmark-json=$(BENCH_DIR)/micro.json \
		$(if $(BRIEF),-q --benchmark-min-rounds=3 --benchmark-max-time=0.2) $(ARGS)

bench-e2e: build $(VENV)/.dev ## end to end on a real Kafka, beside its peers (Java 17 and Maven)
	@exec $(BIN)/python -m benchmarks.e2e all --out $(BENCH_DIR) $(if $(BRIEF),--records 200000 --reps 1 --seconds 3 --away 3 --flood 2 --rates 20000) $(ARGS)

bench-surge: build $(VENV)/.dev ## a surge into an app of a quarter of it, all contenders in turn: 40 min, BRIEF=1: 3
	@exec $(BIN)/python -m benchmarks.surge --out $(BENCH_DIR) $(if $(BRIEF),--brief) $(ARGS)

bench-peers: build $(VENV)/.dev ## beside other programs, as far as shared/peers has built them in PEERS_HOME: 25 min, BRIEF=1: 3
	@exec $(BIN)/python -m benchmarks.peers --out $(BENCH_DIR) $(if $(BRIEF),--stages A$(COMMA)B --records 200000 --reps 1) $(ARGS)

bench-page: build ## docs/benchmarks.md and its pictures from benchmarks/results
	@$(BIN)/python -m benchmarks.page

lint: $(VENV)/.dev $(VENV)/.installed ## ruff, mypy, cython-lint, clang-format, import contracts; actionlint, hadolint
	@failed=0; try() { "$$@" || { echo "FAILED: $$*" >&2; failed=1; }; }; export PATH="$(CURDIR)/$(BIN):$$PATH"; \
	try ruff check .; \
	try ruff format --check .; \
	try mypy; \
	try xargs -r cython-lint < <(git ls-files '*.pyx' '*.pxd'); \
	try xargs -r clang-format --dry-run --Werror < <(git ls-files 'csrc/*.c' 'csrc/*.h'); \
	try lint-imports --no-cache; \
	try env PYTHONPATH=tests python -m harness.lint; \
	exit $$failed

# Release tools have pins of their own, which differ from those of the tests' tools: an environment of their own.
dist: $(VENV)/.dev $(RELEASE)/.created ## dist/: the sdist and, built from it, the wheel for this Python; SBOM=1: sbom, too
	@rm -rf $(DIST)
	$(call quietly,Building $(DIST),LDFLAGS=-Wl$(COMMA)--strip-debug $(BIN)/python -m build --no-isolation --outdir $(DIST))
	@$(RELEASE)/bin/twine check --strict $(DIST)/*
ifdef SBOM
	@$(MAKE) sbom
endif

sbom: $(RELEASE)/.created ## dist/tidegate.cdx.json: what a locked installation consists of, as CycloneDX
	@mkdir -p $(DIST)
	@PYTHONWARNINGS=ignore::UserWarning $(RELEASE)/bin/cyclonedx-py requirements requirements/run.txt --pyproject pyproject.toml \
		--mc-type application --output-reproducible --output-format JSON --output-file $(DIST)/tidegate.cdx.json

image: ## the container image `tidegate`, by IMAGE_TOOL=docker
	@exec $(or $(IMAGE_TOOL),docker) build -f deploy/Dockerfile -t tidegate $(ARGS) .

format: $(VENV)/.dev ## ruff and clang-format, in place
	@$(BIN)/ruff check -q --fix . || true
	@$(BIN)/ruff format .
	@git ls-files 'csrc/*.c' 'csrc/*.h' | xargs -r $(BIN)/clang-format -i

picture: build ## docs/img/demo.svg from a run of the demo; when nothing else runs
	@$(BIN)/tidegate demo --report docs/img/demo.svg

settings: build ## docs/settings.md from the model
	@$(BIN)/python -m tidegate.config_docs >build/settings.md && mv build/settings.md docs/settings.md

metrics: build ## docs/metrics.md from the table
	@$(BIN)/python -m tidegate.ops.metrics_docs >build/metrics.md && mv build/metrics.md docs/metrics.md

figures: build ## the tables of figures in README and docs/comparison.md from benchmarks/results
	@$(BIN)/python -m benchmarks.figures

docs: $(DOCS)/.installed ## the documentation as a site in build/site, every link checked
	$(call quietly,Building the site,NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build -f docs/site/mkdocs.yml)  # with -q it is not strict
	@echo "build/site/index.html"

errors: build ## docs/errors.md from the tables
	@$(BIN)/python -m tidegate.errors_docs >build/errors.md && mv build/errors.md docs/errors.md

lock: $(VENV)/.dev ## requirements/*.txt anew, with hashes (UPGRADE=1: newest versions)
	@for one in 'run:--extra mimalloc pyproject.toml' build:requirements/build.in dev:requirements/dev.in docs:requirements/docs.in \
		release:requirements/release.in; do \
		CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes \
			--no-emit-index-url --no-emit-trusted-host --no-emit-find-links $(if $(UPGRADE),--upgrade) \
			--output-file "requirements/$${one%%:*}.txt" $${one#*:}; \
	done

clean: ## everything that was built, .venv as well
	rm -rf build dist .venv src/*.egg-info csrc/build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name '__pycache__' -prune -exec rm -rf {} + 2>/dev/null || true
	rm -f src/tidegate/core/*.so

# ---- what the targets above stand on; each is done again only when what it depends on changed ----

$(VENV)/.created:
	@[ -n "$(PYTHON)" ] || { echo "tidegate needs Python 3.11 or newer: no such python3 found. Name one: make build PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "tidegate needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make build PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot create environments: install its venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || { echo "Python.h is missing: install the headers of $(PYTHON) (Debian: apt install python3-dev)" >&2; exit 1; }
	@cc="$${CC:-$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_config_var("CC") or "cc")')}"; \
	command -v $${cc%% *} >/dev/null || { echo "tidegate needs a C compiler, and there is no $${cc%% *}, which $(PYTHON) asks for: install one (Debian: apt install gcc libc6-dev) or name another: make build CC=clang" >&2; exit 1; }; \
	echo '#include <stdlib.h>' | $$cc -E - >/dev/null 2>&1 || { echo "$$cc does not find stdlib.h: install the headers of the C library (Debian: apt install libc6-dev)" >&2; exit 1; }
	$(call quietly,Creating $(VENV) with $(PYTHON),$(PYTHON) -m venv --clear $(VENV))
	@touch $@

$(VENV)/.build: requirements/build.txt | $(VENV)/.created
	$(call quietly,Installing locked build tools,$(PIP) install --require-hashes -r $<)
	@touch $@

$(VENV)/.run: requirements/run.txt | $(VENV)/.build
	$(call quietly,Installing locked dependencies,$(PIP) install --require-hashes -r $<)
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(VENV)/.run
	$(call quietly,Installing locked development tools,$(PIP) install --require-hashes -r $<)
	@touch $@

$(DOCS)/.installed: requirements/docs.txt | $(VENV)/.created
	$(call quietly,Installing what builds the site,$(BIN)/python -m venv --clear $(DOCS) && $(DOCS)/bin/python -m pip --disable-pip-version-check --no-input install --require-hashes -r requirements/docs.txt)
	@touch $@

$(RELEASE)/.created: requirements/release.txt | $(VENV)/.created
	$(call quietly,Installing locked release tools,$(BIN)/python -m venv --clear $(RELEASE) && $(RELEASE)/bin/python -m pip --disable-pip-version-check --no-input install --require-hashes -r requirements/release.txt)
	@touch $@

# The versions are those of the lock, which has hashes, and pip takes none of those from constraints.
$(VENV)/.app: examples/fastapi_app/requirements.txt requirements/dev.txt | $(VENV)/.run
	$(call quietly,Installing the example app's dependencies,$(PIP) install -r examples/fastapi_app/requirements.txt -c <(sed -n 's/^\([a-z0-9._-]*==[^ ]*\).*/\1/p' requirements/dev.txt))
	@touch $@

# Editable, for the `tidegate` command and the package's metadata; the core is compiled by the target below.
$(VENV)/.installed: pyproject.toml setup.py $(VENV)/.run
	$(call quietly,Installing tidegate,TIDEGATE_NATIVE=0 $(PIP) install --no-build-isolation --no-deps -e .)
	@touch $@

built: $(VENV)/.installed build/.$(MODE)
	@:

# Each mode is compiled in a place of its own and copied from there: going back and forth compiles nothing.
build/.$(MODE): $(VENV)/.build $(NATIVE)
	$(call quietly,Compiling the native core ($(MODE)$(if $(wildcard build/$(MODE)),,; the first time takes most of a minute)),$(BIN)/python setup.py -q build_ext --inplace)
	@$(BIN)/python -m compileall -q src/tidegate  # where nothing may be written at run time, each start would compile
	@rm -f build/.release build/.debug; touch $@
