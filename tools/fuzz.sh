#!/usr/bin/env bash
# Runs the property tests with many more cases than the test suite does, each time with other seeds:
# decoders, layouts, the path walk, the memory map, completions, the plan.
#
#     tools/fuzz.sh [SECONDS for each crate and for Python]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for crate in $(grep -rl 'proptest' crates/*/src | cut -d/ -f2 | sort -u); do
    echo "fuzz: $crate for $seconds seconds"
    end=$((SECONDS + seconds))
    while [ "$SECONDS" -lt "$end" ]; do
        # proptest keeps a failing case beside its test.
        PROPTEST_CASES=5000 cargo test --release --locked --quiet -p "adyton-$crate" >"$log" 2>&1 ||
            { cat "$log"; exit 1; }
    done
done
echo "fuzz: Python's decoders for $seconds seconds"
end=$((SECONDS + seconds))
while [ "$SECONDS" -lt "$end" ]; do
    .venv/bin/python -m pytest -q -m hypothesis --hypothesis-profile=fuzz tests/unit
done
