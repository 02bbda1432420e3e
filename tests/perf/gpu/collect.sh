#!/bin/bash
# bash collect.sh OUT DEST     figures.tar.gz (tables, series, logs), and a runs-LABEL.tar.xz for each folder of runs, without
# the journals: what is needed to make reports elsewhere.
out=$1 dest=$2
mkdir -p "$dest"
cd "$out" || exit
tar czf "$dest/figures.tar.gz" --exclude='*.sqlite*' --exclude=records.jsonl queue.log log ./*/*.json ./*/*.txt ./*/*.csv ./*/series ./*/*.log \
    $(ls -d ./*/*/results.json ./*/*/manifest.json 2>/dev/null) 2>/dev/null
for label in */bench.json; do
    label=$(dirname "$label")
    tar c --exclude='*.sqlite*' --exclude=logs "$label" | xz -T0 -6 > "$dest/runs-$label.tar.xz"
done
ls -l "$dest"
