# make env | demo | test | test-slow | lint | gate | android | android-archive | emulators | clients | browser | clean. Needs python3 >= 3.11 and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OUT ?= demo-out
export ORT_DISABLE_TELEMETRY := 1

.PHONY: env demo test test-slow lint gate android android-archive emulators clients browser clean

env: $(READY)

# Every package comes from constraints.txt, the build's own ones too; the stamp is written last.
$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "falcon-edge needs python3 >= 3.11; set PYTHON=" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt setuptools
	$(BIN)/python -m pip install --quiet -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e ".[dev,zoo]"
	touch $@

demo: env
	$(BIN)/falcon-edge demo -o $(OUT)

test: env
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-slow: env emulators clients browser
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m slow

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# falcon-edge check on the project itself.
gate: env
	$(BIN)/python benchmarks/self_check/self_check.py

# The demo app, the page's app and the runner, built without Gradle and checked; in build/android.
android: env
	PYTHONPATH=android_demo $(BIN)/python -m ci build

# What users open in Android Studio, as one file; in build/android.
android-archive: env
	PYTHONPATH=android_demo $(BIN)/python -m ci archive

# CPUs that this machine is not, for the tests that ask for them (they are skipped without).
emulators: env
	command -v qemu-aarch64 >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends qemu-user; }
	command -v llvm-mca-19 >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends llvm-19; }
	command -v cc >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev; }
	$(BIN)/falcon-edge devices setup arm64

# A server that is a board to ssh, and the client that phones are reached by, for the tests that ask for them.
clients:
	test -x /usr/sbin/sshd || { apt-get update -qq && apt-get install -y -qq --no-install-recommends openssh-server openssh-client; }
	command -v adb >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends adb; }

# What opens reports and the page in the tests that ask for it, and the page's libraries (they are skipped without).
browser:
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }
	command -v npm >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends npm; }
	$(PYTHON) android_demo/web/vendor.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache demo-out
