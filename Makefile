# Everything runs in the project's own environment, .venv; nothing else is installed.
PYTHON ?= python3
BIN    := .venv/bin
export PYTHONPATH := shared:.

PHOTOS ?=
OUT    ?= out
APP    ?=
FIRST_PORT ?=

# make tells small letters from capitals, and would pass over photos=… without a word.
$(foreach given,photos out app first_port python model_pack model_dir,$(if $(filter command,$(origin $(given))),\
  $(error make knows no $(given)=…: write it in capitals, $(shell echo $(given) | tr a-z A-Z)=…)))

.DEFAULT_GOAL := help
.PHONY: help demo serve check test soak lint types schemas fmt chaos pacing bench bench-cluster bench-grouping \
        bench-faces bench-packs lock clean

help:                       ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

demo: .venv/demo            ## find the people in PHOTOS (or in a sample event), write OUT/index.html, serve them
	@APP="$(APP)" $(BIN)/python -m local.demo $(if $(PHOTOS),--photos "$(PHOTOS)") --out "$(OUT)"

serve: .venv/demo           ## the whole system on this machine, until Ctrl-C; FIRST_PORT=8081
	@FIRST_PORT="$(FIRST_PORT)" $(BIN)/python -m local.serve

LONG := faces cli packs media/test_memory.py clustering/test_hdbscan.py  # figures of real faces, whole systems, processes of their own
check: .venv/test lint      ## before a commit: lint, types and the fast tests
	@$(BIN)/mypy & types=$$!; \
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow" tests/unit $(addprefix --ignore=tests/unit/,$(LONG)); \
	ran=$$?; wait $$types && exit $$ran

# Three processes share the tests, the longest first (tests/order.py), while mypy reads: one of them is mostly
# waiting. What measures time has the machine to itself.
WORKERS ?= 3
test: .venv/test lint       ## everything that a change must pass
	@$(BIN)/mypy & types=$$!; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not alone"; ran=$$?; \
	wait $$types && exit $$ran
	$(BIN)/python -m pytest -m alone $$(grep -rl --include='test_*.py' 'mark[.]alone' tests)

soak: .venv/bench chaos pacing ## the long ones: faults, bombs, pacing, simulated lives, every figure of finding faces
	MEMORIA_TEST_DATA=nothing $(MAKE) test  # as in a clone with no data beside it
	$(BIN)/python -m pytest --postgres 16 tests/database
	LIFE_EXAMPLES=200 $(BIN)/python -m pytest -s -o timeout=3000 tests/database/test_life.py
	UNDO_EXAMPLES=100 $(BIN)/python -m pytest tests/database/test_undo.py
	APART_LIVES=10 APART_RUNS=20 $(BIN)/python -m pytest tests/database/test_told_apart.py
	$(BIN)/python -m pytest tests/deploy/real_gcloud.py tests/clients/your_app.py
	OPENAPI_CASES=2000 $(BIN)/python -m pytest tests/clients/test_openapi.py
	EVERY_PERSON=1 MIGRATED_PORTRAITS=649 $(BIN)/python -m pytest -k portraits tests/demo
	EVERY_ENDING=1 $(BIN)/python -m pytest tests/demo/test_ending.py
	CORPUS_PACK=any $(BIN)/python -m pytest -o timeout=1600 tests/corpus/test_corpus.py
	$(BIN)/python -m tests.bombs
	$(BIN)/python -m benchmarks.find_faces
	$(BIN)/python -m benchmarks.small_faces

lint: .venv/test            ## ruff, shellcheck
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/shellcheck -x deploy.sh .ci/run .ci/subject local/environment.sh

types: .venv/test           ## mypy --strict
	$(BIN)/mypy

schemas: .venv/test         ## clients/memoria.d.ts and docs/openapi.json, from schemas/
	$(BIN)/python -m schemas

fmt: .venv/test             ## format and sort
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

chaos: .venv/test           ## 1,000 photos through every fault we can inject
	$(BIN)/python -m tests.chaos

pacing: .venv/test          ## the rate that pg_net's batches let through
	$(BIN)/python -m tests.pacing

bench: .venv/bench          ## speed and memory against the peers, into docs/benchmarks.md
	$(BIN)/python -m benchmarks

bench-cluster: .venv/bench  ## exact HDBSCAN against its peers
	$(BIN)/python -m benchmarks.cluster

bench-grouping: .venv/bench ## quality of the grouping, and its sensitivity
	$(BIN)/python -m benchmarks.grouping

bench-packs: .venv/bench    ## a pack: parity, faces found, grouping, speed, into docs/packs.md
	$(BIN)/python -m benchmarks.packs

bench-faces: .venv/bench    ## recall, invariance and cost of finding faces
	$(BIN)/python -m benchmarks.find_faces
	$(BIN)/python -m benchmarks.small_faces

# One environment, filled as far as the goal needs: demo < test < bench.
.venv/demo: local/requirements.txt
.venv/test: tests/requirements.txt
.venv/bench: benchmarks/requirements.txt
.venv/demo .venv/test .venv/bench:
	@PYTHON="$(PYTHON)" local/environment.sh $(@F) $<

# insightface asks for opencv-python beside opencv-python-headless; they overwrite each other.
lock:                       ## pin what the requirements.in ask for (needs uv)
	for folder in functions/process functions/cluster local tests benchmarks; do \
	  uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
	    --python-version 3.11 $$folder/requirements.in -o $$folder/requirements.txt || exit 1; \
	done
	uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
	  --python-version 3.11 --overrides functions/process/overrides-gpu.txt \
	  functions/process/requirements-gpu.in -o functions/process/requirements-gpu.txt
	uv pip compile --quiet --universal --no-deps --generate-hashes --no-annotate --no-header \
	  --python-version 3.11 functions/process/requirements-openvino.in -o functions/process/requirements-openvino.txt

clean:                      ## remove .venv, caches and the demo's answer
	rm -rf .venv .cache out
