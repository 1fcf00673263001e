#!/bin/sh

# One fuzz target under libFuzzer, for so many seconds.
#
#   BUILD=build t/tools/fuzz.sh TARGET SECONDS
#   BUILD=build t/tools/fuzz.sh TARGET keep
#
# New inputs gather in $BUILD/fuzz/corpus/TARGET and are where the next run
# begins.  What breaks an oracle is left as $BUILD/fuzz/TARGET-crash-...; its
# place after the repair is t/fuzz/corpus/TARGET.  "keep" writes those that
# reach what no file of the corpus does to t/fuzz/corpus/TARGET.finds, one in
# each line, in base64; short ones only.

set -eu

name=$1
seconds=$2

cd "$(dirname "$0")/../.."

BUILD=${BUILD-build}
found=$BUILD/fuzz/corpus/$name
log=$BUILD/fuzz/$name.log

mkdir -p "$found"

n=0
while read -r line; do
    n=$(( n + 1 ))
    printf '%s' "$line" | base64 -d > "$found/find-$n"
done < "t/fuzz/corpus/$name.finds"

if [ "$seconds" = keep ]; then
    least=$BUILD/fuzz/least/$name
    rm -rf "$least"
    mkdir -p "$least"
    cp "t/fuzz/corpus/$name"/* "$least"
    "$BUILD/fuzz/clang/fuzz_$name" -merge=1 -use_counters=0 "$least" \
        "$found" > "$log" 2>&1
    for file in "t/fuzz/corpus/$name"/*; do
        rm "$least/${file##*/}"
    done
    find "$least" -type f -size -4 | LC_ALL=C sort | while read -r file; do
        base64 -w 0 "$file"
        echo
    done > "t/fuzz/corpus/$name.finds"
    wc -lc "t/fuzz/corpus/$name.finds"
    exit
fi

# inputs as long as the longest file of the corpus, and half as much again

longest=$(find "t/fuzz/corpus/$name" -type f -printf '%s\n' | sort -n \
    | tail -n 1)
length=$(( longest * 3 / 2 ))

if [ $length -lt 2048 ]; then
    length=2048
fi

code=0
nice "$BUILD/fuzz/clang/fuzz_$name" -max_total_time="$seconds" \
    -max_len=$length -timeout=30 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$BUILD/fuzz/$name-" \
    "$found" "t/fuzz/corpus/$name" > "$log" 2>&1 || code=$?

if [ $code -ne 0 ]; then
    grep -a -B 40 '^SUMMARY' "$log" | tail -n 60
    grep -a 'does not hold\|Test unit written' "$log" || true
    echo "fuzz: $name: broken, see $log"
    exit 255
fi

runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
echo "fuzz: $name: $runs runs in $seconds s, nothing found"
