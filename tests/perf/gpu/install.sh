#!/bin/bash
# bash install.sh WHEELS TARGET
# Beside a vLLM that was carried to a host without a network, and is unpacked: this project's wheel and those of the
# packages the host lacks (WHEELS, made by wheels.sh), in TARGET/site. Then `. TARGET/env.sh` before python3. PACK_ENV is
# the file with the carried vLLM's settings (/tmp/pk/env.sh).
set -e
wheels=$1 target=$2
mkdir -p "$target"
python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$target/site" "$wheels"/*.whl
cat > "$target/env.sh" <<END
. ${PACK_ENV:-/tmp/pk/env.sh}
export PYTHONPATH=$target/site:\$PYTHONPATH
END
. "$target/env.sh"
cd "$target"
python3 - <<'END'
from importlib.metadata import entry_points, version
import tts, tts.engines.vllm, tts.cli.eval, tts.cli.sweep, tts.session, tts.verify.pool
print("tts", version("tts-reasoning"), tts.__file__, [e.name for e in entry_points(group="vllm.general_plugins")])
END
