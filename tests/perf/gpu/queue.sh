#!/bin/bash
# bash queue.sh OUT DATA COMMIT MODEL SMALL_MODEL
# Everything, one step after the other; each step has a log and a time limit of its own, and one that fails costs only
# itself. A model's folder may still be on its way: its steps wait for its config.json. Steps that are done (OUT/done) are
# not repeated, so that the same command goes on after a break. ONLY="small options" picks steps by the beginnings of their
# names; EXTRA has further arguments of every bench.py and baseline.py (a rehearsal: EXTRA="--rehearse 32").
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
arrived() { # FOLDER STEP…: waits for a model if one of its steps is wanted
    local folder=$1 name
    shift
    for name; do wanted "$name" && until [ -f "$folder/config.json" ]; do sleep 1; done; done
}
bench() { step "$1" "$2" python3 bench.py "${@:3}" --data "$data" --out "$out" --commit "$commit" $EXTRA; }
baseline() { step "$1" "$2" python3 baseline.py "${@:3}" --data "$data" --out "$out" --commit "$commit" $EXTRA; }
graphs() { # how the engine starts: as GRAPHS says, else what was fastest in the steps small-*
    echo "${GRAPHS:-$(python3 fastest.py "$out")}"
}

baseline nano-baseline 200 --model nano --label nano --work nano-3:400:16 -M max_model_len=2048
bench nano 200 nano --model nano --until 100 -M max_model_len=2048
step nano-search 280 python3 ../search.py --problems 64 --max-num-seqs 256 --only barrier "+ overlap" self \
    -M 'compilation_config={"cudagraph_capture_sizes":[1,2,4,8,16,32,64,128,192,256]}'
spend() { # NAME SECONDS SCRIPT ARGUMENT…: scripts that start an engine for every run, so it should start quickly
    step "$1" "$2" python3 "../$3.py" "${@:4}" -M max_num_seqs=512 -M max_model_len=2048 \
        -M 'compilation_config={"mode":0,"cudagraph_mode":"FULL_DECODE_ONLY"}'
}
spend spend-stop 240 adaptive --each 80 -n 32
spend spend-allocation 240 allocation --each 100
spend spend-optimal 480 compute_optimal --each 80

arrived "$small" small
for way in breakable compiled; do
    baseline "small-$way" 200 --model "$small" --label "small-$way" --work gsm8k:100:8 --graphs "$way"
done

arrived "$model" baseline scaling options more
baseline baseline 260 --model "$model" --graphs "$(graphs)"
bench scaling 600 scaling rounds sleep further --model "$model" --label scaling --until 480 --graphs "$(graphs)"
bench options-fp8 200 options --model "$model" --label options-fp8 --until 120 --graphs "$(graphs)" -M quantization=fp8
bench options-kv8 200 options --model "$model" --label options-kv8 --until 120 --graphs "$(graphs)" -M kv_cache_dtype=fp8
bench options-no-prefix 200 options --model "$model" --label options-no-prefix --until 120 --graphs "$(graphs)" \
    -M enable_prefix_caching=false
bench small 420 small --model "$small" --until 330 --rate 30000 --graphs "$(graphs)"
bench more 600 scaling rounds sleep further --model "$model" --label scaling --until 480 --graphs "$(graphs)"
echo "$(date +%T) all done" >> "$out/queue.log"
