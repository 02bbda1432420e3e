#!/bin/sh
# A nightly batch: every sweep file of a folder, each resumable, one log a night.
#   nightly.sh FOLDER_OF_TOML OUTPUT_FOLDER
# From cron:  0 22 * * *  /path/to/nightly.sh /path/to/sweeps /path/to/runs
# A sweep that was cut (power, kill, a dead engine) goes on the next night; one that is complete starts no engine.
set -u
sweeps=${1:?folder of sweep files} runs=${2:?output folder}
mkdir -p "$runs"
log="$runs/$(date +%Y-%m-%d).log"
worst=0
for file in "$sweeps"/*.toml; do
  name=$(basename "$file" .toml)
  echo "== $name, $(date)" >>"$log"
  tts sweep "$file" --output "$runs/$name" >>"$log" 2>&1
  code=$?
  if [ "$code" -ne 0 ]; then
    echo "$name ended with $code (1: problems failed, 2: the file, 3: engine died, 130: interrupted)" | tee -a "$log" >&2
    [ "$code" -gt "$worst" ] && worst=$code
  fi
done
exit "$worst"
