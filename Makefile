# Each target sets up what it needs; ARGS are handed on: make test ARGS="-k gap"
.PHONY: help record serve pictures test torture lint format bench bench-many bench-listeners bench-page

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

record: ## record five seconds into phonobase.db and show what was stored
	@scripts/setup record
	@scripts/record

serve: ## show phonobase.db in a browser
	@scripts/setup page
	@.venv/bin/phonobase serve $(ARGS)

test: ## run every test, with a real PostgreSQL, a real sound server and real browsers
	@scripts/setup test
	@.venv/bin/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

pictures: ## take the pictures of docs/page.md anew
	@scripts/setup test
	@PICTURES=1 .venv/bin/python -m pytest -q tests/browser/test_pictures.py

torture: ## kill what records 200 times, and take the archive away for minutes
	@scripts/setup test
	@TORTURE=$${TORTURE:-8} .venv/bin/python -m pytest -s tests/torture $(ARGS)

lint: ## check style, types and the order of the layers
	@scripts/setup lint
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	npm run --silent check

format: ## bring the code into its one style
	@scripts/setup lint
	.venv/bin/ruff check --fix
	.venv/bin/ruff format
	npm run --silent format

bench: ## measure speed and endurance
	@scripts/setup record
	.venv/bin/python benchmarks/run.py $(ARGS)

bench-listeners: ## listen to an archive while it records, beside nginx with files
	@scripts/setup test
	.venv/bin/python benchmarks/listeners.py $(ARGS)

bench-many: ## ask an archive of ten million chunks, beside a small one; takes half an hour and 20 GB
	@scripts/setup record
	.venv/bin/python benchmarks/many.py $(ARGS)

bench-page: ## ask for what the page asks for, over a million recordings and one of 24 hours; takes ten minutes
	@scripts/setup test
	.venv/bin/python benchmarks/page.py $(ARGS)
