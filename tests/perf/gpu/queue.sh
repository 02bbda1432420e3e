#!/bin/bash
# bash queue.sh OUT DATA COMMIT MODEL SMALL_MODEL
# Everything, one step after the other; each step has a log and a time limit of its own, and one that fails costs only
# itself. A model's folder may still be on its way: its steps wait for its config.json. Steps that are done (OUT/done) are
# not repeated, so that the same command goes on after a break. ONLY="small options" picks steps by the beginnings of their
# names; UNTIL: seconds that the long list has. EXTRA has further arguments of every bench.py and baseline.py (a rehearsal:
# EXTRA="--rehearse 32 --graphs eager").
out=$1 data=$2 commit=$3 model=$4 small=$5
cd "$(dirname "$0")" || exit
mkdir -p "$out/log" "$out/done"

wanted() { # NAME: whether ONLY leaves it in
    local prefix
    [ -z "$ONLY" ] && return
    for prefix in $ONLY; do case $1 in "$prefix"*) return 0 ;; esac; done
    return 1
}
step() { # NAME SECONDS COMMAND…
    local name=$1 seconds=$2
    shift 2
    wanted "$name" && [ ! -e "$out/done/$name" ] || return
    echo "$(date +%T) $name begins" >> "$out/queue.log"
    timeout -k 20 "$seconds" "$@" > "$out/log/$name.log" 2>&1
    local code=$?
    echo "$(date +%T) $name ends with $code" >> "$out/queue.log"
    [ $code = 0 ] && touch "$out/done/$name"
}
arrived() { # FOLDER STEPS…: waits for a model if one of the steps that begin like that is wanted
    local folder=$1 name prefix
    shift
    for name; do
        for prefix in ${ONLY:-$name}; do
            case $prefix in "$name"*) until [ -f "$folder/config.json" ]; do sleep 1; done ;; esac
        done
    done
}
bench() { step "$1" "$2" python3 bench.py "${@:3}" --data "$data" --out "$out" --commit "$commit" $EXTRA; }
baseline() { step "$1" "$2" python3 baseline.py "${@:3}" --data "$data" --out "$out" --commit "$commit" $EXTRA; }

nano="-M max_model_len=2048 -M kv_cache_memory_bytes=4000000000" # all of the memory would be millions of blocks
baseline nano-baseline 300 --model nano --label nano --work nano-3:400:16 $nano
bench nano 300 nano --model nano --until 200 $nano

arrived "$small" small stopping
bench small 600 small --model "$small" --until 480 --rate 30000
bench stopping 600 stopping --model "$small" --label stopping --until 480 --rate 30000

sizes=1,2,4,8,16,32,64,128,192,256,384,512,640,768,896,1024,1280,1536,1792,2048 # a search's steps prefill too
step nano-search 420 python3 ../search.py --problems 400 --max-num-seqs 512 --no-logprobs \
    -M kv_cache_memory_bytes=4000000000 -M "compilation_config={\"cudagraph_capture_sizes\":[$sizes]}"

arrived "$model" baseline scaling options
baseline baseline 360 --model "$model"
bench scaling $((${UNTIL:-1200} + 120)) scaling rounds sleep further --model "$model" --label scaling \
    --until "${UNTIL:-1200}"
options() { # NAME -M KEY=VALUE
    bench "options-$1" 260 options --model "$model" --label "options-$1" --until 200 "${@:2}"
}
options fp8 -M quantization=fp8
options kv8 -M kv_cache_dtype=fp8
options no-prefix -M enable_prefix_caching=false

spend() { # NAME SECONDS SCRIPT ARGUMENT…: scripts that start an engine for every run, so it should start quickly
    step "$1" "$2" python3 "../$3.py" "${@:4}" -M max_num_seqs=512 -M max_model_len=2048 \
        -M 'compilation_config={"mode":0,"cudagraph_mode":"FULL_DECODE_ONLY"}'
}
spend spend-stop 240 adaptive --each 80 -n 32 --stop beta likely
spend spend-allocation 240 allocation --each 100
spend spend-optimal 480 compute_optimal --each 80
step search-accuracy 900 python3 ../search_accuracy.py --limit 61-220 --only "beam-search width=2" rebase \
    -M enforce_eager=false -M max_num_seqs=256 -M kv_cache_memory_bytes=4000000000
echo "$(date +%T) all done" >> "$out/queue.log"
