#!/bin/bash
# bash collect.sh OUT DEST     figures.tar.gz (tables, series, logs), and all runs without their journals: what is needed to
# make reports elsewhere, as runs.tar.xz.00 and on (cat them together), 15 MiB each.
out=$1 dest=$2
mkdir -p "$dest"
cd "$out" || exit
tar czf "$dest/figures.tar.gz" --exclude='*.sqlite*' --exclude=records.jsonl queue.log log ./*/*.json ./*/*.txt ./*/*.csv ./*/series ./*/*.log \
    $(ls -d ./*/*/results.json ./*/*/manifest.json 2>/dev/null) 2>/dev/null
tar c --exclude='*.sqlite*' --exclude=logs $(dirname */bench.json) | xz -T0 -6 | split -b 15M -d - "$dest/runs.tar.xz."
ls -l "$dest"
