# The words of this project. `make` alone lists them; each sets up what it needs.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
BIN := venv/bin
READY := venv/.ready
KERNELS := venv/.kernels
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the words
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- set-up -------------------------------------------------------------------

venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(0 if sys.version_info >= (3, 11) else f"njord needs Python 3.11 or newer, $(PYTHON) is {v}; next: make venv PYTHON=python3.11")'
	@$(PYTHON) -m venv venv || { rm -rf venv; echo "python's venv module is missing; next: apt install python3-venv (Debian, Ubuntu)"; exit 1; }

$(READY): locks/uv.txt locks/dev.txt pyproject.toml venv/bin/python
	@echo "setting up ./venv from locks/ (once, about ten seconds)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt
	@VIRTUAL_ENV=$(CURDIR)/venv $(BIN)/uv pip sync --quiet --require-hashes locks/uv.txt locks/dev.txt
	@VIRTUAL_ENV=$(CURDIR)/venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)

# Whatever the tests of kernels call is compiled, into the cache beside the sources; what fails here fails again in test.
$(KERNELS): $(READY) $(wildcard njord/kernels/*.py)
	@echo "compiling kernels into njord/kernels/__pycache__ (once, about half a minute)"
	@rm -rf njord/kernels/__pycache__/kernels-*
	@$(BIN)/pytest -q -n 2 -m 'not integration' $(COMPILING) > /dev/null || true
	@touch $(KERNELS)

COMPILING := tests/unit/kernels tests/unit/data tests/unit/apps tests/unit/storage/ingest tests/unit/venues tests/golden \
	tests/unit/strategies/library tests/unit/backtest/test_indicator_columns.py tests/property/test_tick_market.py tests/property/test_tick_runs.py tests/property/test_indicators.py tests/property/test_indicator_forms.py tests/property/test_book_naive.py tests/property/test_capture_agreement.py tests/property/test_bars_from_trades.py

.PHONY: venv install pre-commit lock
venv: $(READY) ## Create ./venv and install everything from the committed lock
install: $(READY) ## The same as venv: development tools included
pre-commit: $(READY) ## Install the git hooks
	@$(BIN)/pre-commit install

lock: $(READY) ## Resolve the dependencies anew into locks/
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml --group dev -o locks/dev.txt

# --- the four words and their sum -----------------------------------------------

.PHONY: fmt lint type test check integration campaign
fmt: $(READY) ## Format the code
	@$(BIN)/ruff format -q .
	@$(BIN)/ruff check -q --fix --exit-zero .

lint: $(READY) ## Ruff, the import rings, and what only reading the code can tell
	@$(BIN)/ruff check -q .
	@$(BIN)/lint-imports --config importlinter.ini
	@$(BIN)/pytest -n 2 -m 'not integration' tests/architecture

type: $(READY) ## mypy --strict, nothing excluded
	@$(BIN)/mypy

test: $(KERNELS) ## Unit, property and golden tests (under 30 s)
	@$(BIN)/pytest -n 2 -m 'not integration' --ignore tests/architecture --ignore tests/integration

check: fmt lint type test ## All four

integration: $(KERNELS) ## Real processes, recorded data, a browser, every command of the docs (some 8 min)
	@$(BIN)/pytest -n 4 --dist worksteal --timeout 300 -m 'integration and not timing and not long'

PROFILE ?= deep
campaign: $(KERNELS) ## 2,000 examples of each property with new seeds, 500 seeds of the live path, each fault for 90 s over sockets, 100 killed imports, 200 killed paper and live sessions (PROFILE=sample: 150, 40, four for 15 s, none)
	@NJORD_TEST_PROFILE=$(PROFILE) $(BIN)/pytest -n 2 --timeout 1800 tests/property
	@$(BIN)/pytest -n 4 --dist worksteal --timeout 300 --ignore tests/property -m long
	@$(BIN)/pytest --timeout 300 -m timing
	@$(BIN)/python -m njord.simulation.campaign --jobs 2 $(if $(filter deep,$(PROFILE)),--seeds 1-500 --page docs/reliability/live-faults.md --commit $$(git rev-parse --short HEAD),--seeds 501-540)
	@$(BIN)/python -m njord.simulation.real_campaign $(if $(filter deep,$(PROFILE)),--jobs 6 --page docs/reliability/live-faults.md --commit $$(git rev-parse --short HEAD),--faults A4,A9,A14,B4 --seeds none --seconds 15 --jobs 4)
	@$(if $(filter deep,$(PROFILE)),$(BIN)/python -m njord.simulation.kills --kills 200 --sessions 8 --jobs 4 --page docs/reliability/live-kills.md --commit $$(git rev-parse --short HEAD),true)
	@$(if $(filter deep,$(PROFILE)),IMPORT_KILLS=100 STORE_KILLS=100 $(BIN)/pytest -n 2 --timeout 1800 -m integration -k kill tests/integration/test_store_kills.py tests/integration/test_data_verbs.py,true)
	@$(if $(filter deep,$(PROFILE)),PAPER_KILLS=200 $(BIN)/pytest --timeout 3600 -m integration -k killed_at_random tests/integration/test_paper_kills.py,true)

# --- the product ------------------------------------------------------------------

.PHONY: demo docs doctor
demo: $(READY) ## See the main job: make demo, or make demo DATA=your-bars.csv
	@$(BIN)/njord demo $(if $(DATA),--data '$(DATA)')

docs: $(READY) ## Write docs/reference/ anew from the code
	@$(BIN)/python -m scripts.generate_reference

doctor: $(READY) ## Say what is missing on this machine, and the fix
	@$(BIN)/njord doctor

# --- measuring --------------------------------------------------------------------

.PHONY: bench bench-data bench-ticks bench-paper bench-year profile profile-memory check-leaks check-flakiness
bench: $(KERNELS) ## Measure: a million bars, a sweep, Monte Carlo; PEERS=dir of scripts/make_peers.sh beside, WORK="W1 W2"
	@$(BIN)/python -m benchmarks.ordered_engine
	@$(BIN)/python -m benchmarks.peers $(if $(PEERS),--peers '$(PEERS)') $(or $(WORK),W1 W2 W4)

bench-data: $(KERNELS) ## Measure: captures parsed, stored trades to bars against polars and duckdb, a year streamed
	@$(BIN)/python -m benchmarks.capture_parse
	@$(BIN)/python -m benchmarks.stored_trades
	@$(BIN)/python -m benchmarks.store_stream

bench-ticks: $(KERNELS) ## Measure: the recorded capture through the compiled exchange; PEER=python of hftbacktest beside
	@$(BIN)/python -m benchmarks.ticks $(if $(PEER),--python '$(PEER)')

bench-paper: $(KERNELS) ## Measure: event in to order out in the node and over Redis, and what the tap publishes beside it
	@$(BIN)/python -m benchmarks.node_latency
	@$(BIN)/python -m benchmarks.redis_tap

bench-year: $(READY) ## Measure: a year of minute bars of 20 symbols through the ordered engine, its memory under 500 MB
	@$(BIN)/python -m benchmarks.year_of_twenty

profile: $(READY) ## Where processor time goes, as a page; RUN="backtest sma_cross --data bars.csv" for any words of njord
	@$(BIN)/python -m scripts.profile_cpu $(if $(RUN),--name run -- $(RUN))
	@$(BIN)/python -m scripts.analyze_profiles var/profiling/$(if $(RUN),run,ordered-engine)-cpu.folded

profile-memory: $(READY) ## Who holds memory at its peak, as a page; RUN= as for profile
	@$(BIN)/python -m scripts.profile_memory $(if $(RUN),--name run -- $(RUN))
	@$(BIN)/python -m scripts.analyze_profiles var/profiling/$(if $(RUN),run,ordered-engine)-memory.folded

check-leaks: $(READY) ## The ordered engine again and again: does memory grow? DURATION=3600 seconds for an hour
	@$(BIN)/python -m scripts.check_memory_leaks $(if $(DURATION),--duration $(DURATION))

check-flakiness: $(KERNELS) ## The fast suite in other orders; RUNS=100
	@$(BIN)/python -m scripts.check_flakiness $(if $(RUNS),--runs $(RUNS))

# --- the seed's words --------------------------------------------------------------

# Four services make one paper session over Redis: export NJORD_REDIS__URL=redis://127.0.0.1:6379/0, and say the same
# words of all four, each in a terminal of its own. Without Redis: njord paper.
SERVICES := run-md run-strat run-risk run-paper
STRATEGY ?= sma_cross
SYNTHETIC := var/demo/SYNTH_USDT-1m-seed42.csv
SAID = $(STRATEGY) --data '$(or $(DATA),$(SYNTHETIC))' $(if $(SYMBOL),--symbol '$(SYMBOL)') $(if $(VENUE),--set exchange.venue='$(VENUE)') $(FLAGS)
.PHONY: $(SERVICES) run-broker run-kill-trip run-kill-clear check-kill

$(SYNTHETIC): | $(READY)
	@$(BIN)/python -c 'from pathlib import Path; from njord.apps.synthetic import write_synthetic_csv; write_synthetic_csv(Path("$@"), 43_200, 42)'

run-md: ## With VENUE=, record live markets (njord md): SYMBOL= FLAGS=; else the market data service: REPLAY=60x DATA= STRATEGY=
run-strat: ## The strategy service
run-risk: ## The risk service: its gate seals what it approves
run-paper: ## The paper service: venue, timers, journal
LIVE_MD = $(and $(filter run-md,$@),$(VENUE),$(if $(DATA),,no data))
$(SERVICES): $(READY) $(if $(DATA),,$(SYNTHETIC))
	@$(BIN)/njord $(if $(LIVE_MD),md $(if $(SYMBOL),'$(SYMBOL)') --venue '$(VENUE)' $(FLAGS),run $(@:run-%=%) $(SAID) $(if $(REPLAY),--replay $(REPLAY)))

# Live orders come from the node alone: this is njord live, behind its locks.
run-broker: $(READY) ## Trade real money behind every lock (njord live): STRATEGY= SYMBOL= FLAGS="--account NAME"
	@$(BIN)/njord live $(STRATEGY) $(if $(SYMBOL),--symbol '$(SYMBOL)') $(FLAGS)

run-kill-trip: $(READY) ## Trip the kill switch (file); REASON="why" is required
	@$(BIN)/njord kill trip --reason '$(REASON)'

run-kill-clear: $(READY) ## Clear the kill switch (file); REASON="why" is required
	@$(BIN)/njord kill clear --reason '$(REASON)'

check-kill: $(READY) ## Show the kill switch
	@$(BIN)/njord kill check
