# Thin doors: `make TARGET` is `python3 dev.py TARGET`, which also works where there is no make.
PYTHON ?= python3
ARGS ?=

.PHONY: help demo test acts workflows proof mutants bake manifest lint lock clean
help demo test acts workflows proof mutants bake manifest lint lock clean:
	@$(PYTHON) dev.py $@ $(ARGS)
