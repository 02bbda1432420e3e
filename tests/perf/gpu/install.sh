#!/bin/bash
# bash install.sh PACK WHEELS TARGET
# Unpacks a vLLM that was carried to a host without a network (PACK/unpack.sh) and puts this project's wheel and those
# of the packages the host lacks (WHEELS, see wheels.sh) beside it in TARGET. Then `. TARGET/env.sh` before python3.
set -e
pack=$1 wheels=$2 target=$3
bash "$pack/unpack.sh"
python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$target/site" "$wheels"/*.whl
cat > "$target/env.sh" <<END
. /tmp/pk/env.sh
export PYTHONPATH=$target/site:\$PYTHONPATH
END
. "$target/env.sh"
python3 - <<'END'
from importlib.metadata import entry_points, version
import tts, tts.engines.vllm, tts.cli.eval, tts.cli.sweep, tts.session, tts.verify.pool
print("tts", version("tts-reasoning"), tts.__file__, [e.name for e in entry_points(group="vllm.general_plugins")])
END
