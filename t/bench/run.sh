#!/bin/bash

# make bench: what collecting and exporting cost here, beside a yardstick
# taken in the same minute: an nginx location that reads the same body and
# answers 200 (proxying to one that answers, as nginx has no other way to
# read a body without a module).  Rates of shared machines drift; compare
# ratios, not rates.
#
#   BENCH_SECONDS   of each measurement, 5 by default

set -eu
cd "$(dirname "$0")/../.."

dir=$PWD/build/bench
seconds=${BENCH_SECONDS:-5}
nginx=${CTSEG_NGINX:-$(command -v nginx || echo /usr/sbin/nginx)}
JSON='Content-Type: application/json'

busy() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free() { local p=$1; while busy "$p"; do p=$((p + 2)); done; echo "$p"; }

PORT=$(free 8188)
SEGMENT_PORT=$(free 8189)
API=http://127.0.0.1:$PORT/ctseg/api

rm -rf "$dir"
mkdir -p "$dir/tmp"

user=
[ "$(id -u)" -ne 0 ] || user="user root;"

cat > "$dir/nginx.conf" <<END
$user
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error.log notice;
load_module $PWD/build/ngx_http_ctseg_module.so;
thread_pool ctseg threads=4;
events { worker_connections 1024; }

http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path $dir/tmp/body;
    proxy_temp_path $dir/tmp/proxy;
    fastcgi_temp_path $dir/tmp/fastcgi;
    uwsgi_temp_path $dir/tmp/uwsgi;
    scgi_temp_path $dir/tmp/scgi;

    ctseg_store $dir/store events=32g state=256m;
    ctseg_thread_pool ctseg;

    upstream sink { server 127.0.0.1:$SEGMENT_PORT; keepalive 64; }

    server {
        listen 127.0.0.1:$PORT;
        client_max_body_size 8m;
        client_body_buffer_size 1m;

        location = /1/upload { ctseg_collect; }
        location /ctseg/api/ { ctseg_api write=on; }

        location = /yard {
            proxy_pass http://sink;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }

        location = /segment/us {
            internal;
            proxy_pass http://sink/v1/batch;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }

        ctseg_segment us /segment/us requests=1000000 events=1000000000;
    }

    server {
        listen 127.0.0.1:$SEGMENT_PORT;
        client_max_body_size 8m;
        default_type application/json;
        location / { return 200 '{"success":true}'; }
    }
}
END

quit() {
    [ -s "$dir/nginx.pid" ] || return 0
    pid=$(cat "$dir/nginx.pid")
    kill -QUIT "$pid" 2>/dev/null || return 0
    timeout 20 tail --pid="$pid" -f /dev/null || true
}

trap quit EXIT

perl t/tools/demo_events.pl "$dir" 1 200
mv "$dir/upload-001.json" "$dir/200.json"
perl t/tools/demo_events.pl "$dir" 1 1
mv "$dir/upload-001.json" "$dir/1.json"

"$nginx" -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log"
curl -sSf --retry 50 --retry-delay 0 --retry-max-time 10 --retry-all-errors \
    -o /dev/null "$API/status"

# load NAME FILE CONNECTIONS PATH: requests a second

load() {
    cat > "$dir/post.lua" <<END
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local f = io.open("$dir/$1.json")
wrk.body = f:read("*a")
END
    wrk -t1 -c"$2" -d"${seconds}s" --latency -s "$dir/post.lua" \
        "http://127.0.0.1:$PORT$3" > "$dir/wrk.out"

    if grep -q 'Non-2xx' "$dir/wrk.out"; then
        grep 'Non-2xx' "$dir/wrk.out" >&2
    fi

    sed -n 's/^Requests\/sec: *//p' "$dir/wrk.out"
}

figure() { curl -sSf "$API/status" | sed "s/.*\"$1\":\([0-9]*\).*/\1/"; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'; }

# CPU seconds of all nginx processes so far

cpu() {
    awk -v hz="$(getconf CLK_TCK)" '{ s += $14 + $15 } END { print s / hz }' \
        $(pgrep -P "$(cat "$dir/nginx.pid")" | sed 's|.*|/proc/&/stat|')
}

per_million() {
    awk -v a="$1" -v b="$2" -v n="$3" \
        'BEGIN { printf "%.2f", (b - a) * 1000000 / n }'
}

echo "nginx $("$nginx" -v 2>&1 | sed 's/.*\///'), $(nproc) cores," \
    "$(uname -r), 1 worker, ${seconds} s each"

for n in 1 200; do
    [ $n = 1 ] && connections=64 || connections=16

    yard=$(load $n $connections /yard)

    commits=$(figure commits)
    events=$(figure last)
    before=$(cpu)
    acks=$(load $n $connections /1/upload)
    after=$(cpu)
    commits=$(($(figure commits) - commits))
    events=$(($(figure last) - events))

    echo
    echo "collect, $n event(s) a body, $connections connections"
    echo "  yardstick (body read, proxied)  $yard requests/s"
    echo "  acknowledged after the flush    $acks requests/s," \
        "$(ratio "$acks" "$yard") of it"
    echo "  $events events in $commits commits," \
        "$(per_million "$before" "$after" "$events") CPU s a million"
    sed -n 's/^ *\(50\|99\)%/  p\1 /p' "$dir/wrk.out"
done

echo
echo "export of all of it"

partner=$(curl -sSf "$API/partners" -H "$JSON" \
    -d '{"nickname":"bench","write_key":"bench-write-key"}' \
    | sed 's/{"id":"\([^"]*\).*/\1/')

before=$(cpu)
id=$(curl -sSf "$API/exports" -H "$JSON" -d '{"partner_id":"'"$partner"'",
    "frequency":{"kind":"one_time","range":"last_7_days"}}' \
    | sed 's/{"id":"\([^"]*\).*/\1/')

until curl -sSf "$API/exports/$id" > "$dir/export.json" \
    && grep -q '"status":"DONE"' "$dir/export.json"
do
    read -r -t 0.05 <> <(:) || true
done

after=$(cpu)
sent=$(sed 's/.*"progress":{"sent":\([0-9]*\).*/\1/' "$dir/export.json")
started=$(sed 's/.*"started_at":"\([^"]*\).*/\1/' "$dir/export.json")
finished=$(sed 's/.*"finished_at":"\([^"]*\).*/\1/' "$dir/export.json")
took=$(awk -v a="$(date -d "$started" +%s.%N)" \
    -v b="$(date -d "$finished" +%s.%N)" 'BEGIN { printf "%.2f", b - a }')

echo "  $sent events sent in $took s," \
    "$(per_million "$before" "$after" "$sent") CPU s a million" \
    "(Segment's part included)"
