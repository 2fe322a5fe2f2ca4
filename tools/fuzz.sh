#!/usr/bin/env bash
# Looks for inputs that break a decoder's rules. Guided by coverage: the targets of fuzz/, with libFuzzer. Then,
# with other seeds than the test suite has: the property tests of the crates and of Python's decoders.
#
#     tools/fuzz.sh [SECONDS for each [TARGET…]]        targets: elf path plan completions properties python
#
# An input that breaks something is kept beside the seeds, fuzz/corpus/TARGET/crash-…: from then on `make test`
# replays it. What is new in coverage goes to build/fuzz/TARGET; `tools/fuzz.sh merge` takes the least
# of it that reaches all over into the kept corpus.
set -euo pipefail
cd "$(dirname "$0")/.."

guided=(elf path plan completions)
target=x86_64-unknown-linux-gnu
# Files above this size are not kept.
kept_bytes=4096

build() {
    # What cargo-fuzz passes, as far as the stable compiler knows it; `--target` keeps it out of build scripts.
    RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing" \
        cargo build --manifest-path fuzz/Cargo.toml --locked --release --features guided --target "$target" \
        --target-dir "$folder" --quiet
}

folder=${CARGO_TARGET_DIR:-target}/fuzz

guide() {
    local name=$1 end=$((SECONDS + $2)) log=build/fuzz/$1.log
    echo "fuzz: $name, guided by coverage, for $2 seconds"
    mkdir -p "build/fuzz/$name"
    # A process a minute: file systems in memory that are dropped with files in them are never freed.
    while [ "$SECONDS" -lt "$end" ]; do
        local left=$((end - SECONDS))
        "$folder/$target/release/$name" -max_total_time=$((left < 60 ? left : 60)) -max_len=16384 -timeout=10 \
            -print_final_stats=1 -artifact_prefix="fuzz/corpus/$name/" "build/fuzz/$name" "fuzz/corpus/$name" \
            >"$log" 2>&1 ||
            { tail -40 "$log"; echo "fuzz: the input is kept in fuzz/corpus/$name" >&2; return 1; }
    done
    grep -E '^stat::(number_of_executed_units|average_exec_per_sec)|DONE' "$log" || true
}

properties() {
    local crate log
    log=$(mktemp)
    for crate in $(grep -rl 'proptest' crates/*/src | cut -d/ -f2 | sort -u); do
        echo "fuzz: properties of $crate, for $1 seconds"
        local end=$((SECONDS + $1))
        while [ "$SECONDS" -lt "$end" ]; do
            # proptest keeps a failing case beside its test.
            PROPTEST_CASES=5000 cargo test --release --locked --quiet -p "adyton-$crate" >"$log" 2>&1 ||
                { cat "$log"; rm -f "$log"; return 1; }
        done
    done
    rm -f "$log"
}

python() {
    echo "fuzz: Python's decoders, for $1 seconds"
    local end=$((SECONDS + $1))
    while [ "$SECONDS" -lt "$end" ]; do
        .venv/bin/python -m pytest -q -m hypothesis --hypothesis-profile=fuzz tests/unit
    done
}

merge() {
    build
    local name hash='[0-9a-f]{40}'
    for name in "${guided[@]}"; do
        mkdir -p "build/fuzz/$name"
        # Seeds and old crashes have names of their own and stay.
        find "fuzz/corpus/$name" -regextype posix-extended -regex ".*/$hash" -exec mv -t "build/fuzz/$name" {} +
        "$folder/$target/release/$name" -set_cover_merge=1 -use_counters=0 -max_len="$kept_bytes" \
            "fuzz/corpus/$name" "build/fuzz/$name" >"build/fuzz/$name.log" 2>&1
        echo "fuzz: $name keeps $(find "fuzz/corpus/$name" -type f | wc -l) inputs"
    done
}

if [ "${1:-}" = merge ]; then
    merge
    exit
fi
seconds=${1:-60}
shift || true
[ $# -gt 0 ] || set -- "${guided[@]}" properties python
for name; do
    case " ${guided[*]} " in *" $name "*) build && break ;; esac
done
for name; do
    case $name in
        properties | python) "$name" "$seconds" ;;
        *) guide "$name" "$seconds" ;;
    esac
done
