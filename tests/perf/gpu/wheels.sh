#!/bin/bash
# bash wheels.sh DIR     (where there is a network) this commit's wheel and those of the pure packages that a host with
# torch, transformers, pandas, scipy, sympy and typer, and vLLM's pack, still lacks. `datasets` is not among them: it
# is loaded for the hub alone.
set -e
here=$(cd "$(dirname "$0")/../../.." && pwd)
mkdir -p "$1"
rm -f "$1"/tts_reasoning-*.whl
python3 -m pip wheel -q --no-deps -w "$1" "$here"
python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 -d "$1" tenacity pebble platformdirs
git -C "$here" rev-parse HEAD > "$1/commit"
ls -l "$1"
