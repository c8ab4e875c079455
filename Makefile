# make help lists the targets. `make demo` and `make test` do all their own set-up.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
LAB_TIMEOUT ?= 900
CMD ?= pizarra host check
SUITE ?= bookworm
export TLS LAB_TIMEOUT LAB_DISK LAB_GUESTS
COMPILE = uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml

help:            ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup:           ## System packages and .venv (the other targets do it by themselves)
	@./tools/setup

demo: setup      ## The main job in the lab: a class made, used, reset, proven (SERVE=1: a dashboard; TLS=1: by https)
ifdef SERVE
	@guests/debian/build
	@$(PY) -m demo.dashboard
else
	@guests/bootsector/build
	@$(PY) -m lab run '$(PY) -m demo'
endif

test: setup      ## What CI runs: here, then in labs (LONG=1: the slow ones too)
	@LONG=$(LONG) ./tools/test

bench: setup     ## How fast, beside what one would do instead (SERIES="plan disks.thin" for some)
	@guests/bootsector/build
	@LAB_TIMEOUT=3600 $(PY) -m lab run "$(PY) -m bench $(SERIES)"
	@mv build/lab-out/bench.json build/bench.json
	@$(PY) -m bench.chart build/bench.json build/bench.png
	@echo "bench: build/bench.json, build/bench.png"

powercut: setup  ## Cut the whole host off in its work, N times, and say what was found
	@guests/bootsector/build
	@$(PY) -m lab.powercut $(or $(N),6)

install:         ## Pizarra for this host: /opt/pizarra, pizarra on the PATH
	@./tools/setup host

docs: setup      ## The documentation site, English and Spanish, in build/docs/html
	@$(PY) -m tools.site
	@echo "docs: build/docs/html/index.html"

deb: setup       ## The packages for Debian 12 and 13, in build/deb (SUITES="bookworm" for one)
	@packaging/build $(or $(SUITES),bookworm trixie)

lab-run: setup   ## Boot a fresh lab, run CMD='…' in it as root, power off
	@$(PY) -m lab run "$$CMD"

lab-shell: setup ## The same with a terminal
	@$(PY) -m lab shell

host-lab: setup  ## A full Debian system as a host, built and booted once (SUITE=bookworm|trixie)
	@$(PY) -m lab.host build $(SUITE)

host-run: setup  ## Boot it afresh with Pizarra installed and the volume group vg0, run CMD='…' on it
	@$(PY) -m lab.host run $(SUITE) "$$CMD"

check: setup     ## Format, lint, types, layers
	@.venv/bin/ruff format --check -q . && .venv/bin/ruff check -q . && .venv/bin/mypy && .venv/bin/lint-imports --no-cache

lock:            ## Choose versions anew (needs uv)
	$(COMPILE) --extra dev --extra docs --extra server -o requirements.lock && $(COMPILE) --extra server -o requirements-host.lock

# what the caller wrote, dollars and all: make must not expand it
override CMD := $(value CMD)
export CMD
.PHONY: help bench powercut install demo test setup docs deb lab-run lab-shell host-lab \
	host-run check lock
