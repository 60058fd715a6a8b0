# What a developer types. Python 3.11 or newer, pip and make are all that is needed; another Python than python3 is
# named with PYTHON, as in `make setup PYTHON=python3.12`. ARGS is handed on, as in `make test ARGS=tests/core`.

BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup tools serve test test-cluster test-browser lint check bench lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## make the environment .venv (does nothing where it is up to date)
	@requirements/install veza

serve: setup ## run Veza at http://127.0.0.1:8080
	@$(BIN)/veza serve $(ARGS)

test: tools ## run all tests, on every core
	@$(BIN)/python -m pytest -n auto $(ARGS)

test-cluster: tools ## run the tests of the rooms on two API processes and two workers, and kill each part under load
	@$(BIN)/python -m pytest -n auto --cluster $(ARGS)

# The one thing here that Python does not bring; its version is a choice, not an accident.
HLS := hls.js-1.7.4

test-browser: tools ## hear tracks in a browser as most pages play them (needs chromium and npm)
	@mkdir -p .cache/$(HLS) && cd .cache/$(HLS) && { test -f package/dist/hls.min.js || \
		{ npm pack --silent $(subst js-,js@,$(HLS)) > /dev/null && tar xzf $(HLS).tgz; }; }
	@$(BIN)/python -m pytest tests/browser --hls .cache/$(HLS)/package/dist/hls.min.js $(ARGS)

lint: tools ## run the checks that need no test: style, types, direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: ## run lint, then test
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test

bench: tools ## measure Veza beside the machine's own ceiling
	@$(BIN)/python -m bench $(ARGS)

lock: ## lock the dependencies of pyproject.toml anew (needs uv; ARGS=--upgrade for newer versions)
	@for name in veza tracing test; do \
		case $$name in \
			veza) more= ;; \
			tracing) more="--extra tracing --constraint requirements/veza.txt" ;; \
			test) more="--extra tracing --extra test --constraint requirements/tracing.txt" ;; \
		esac; \
		PATH="$(CURDIR)/$(BIN):$$PATH" UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile pyproject.toml --group build $$more \
			--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
			--quiet --output-file requirements/$$name.txt $(ARGS) >/dev/null || exit 1; \
	done

clean: ## remove the environment and every cache; your data stays
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis src/veza.egg-info
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

tools:
	@requirements/install test
