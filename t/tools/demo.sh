#!/bin/bash

# make demo: collect some thousand events and export them, with a second
# server of the same nginx in Segment's place.  make run: the same nginx in
# the foreground, to play with.
#
#   CTSEG_PORT, CTSEG_SEGMENT_PORT   ports on 127.0.0.1; free ones are taken
#                                    when they are not set

set -eu
cd "$(dirname "$0")/../.."

what=${1:?demo or run}
dir=$PWD/build/$what
nginx=${CTSEG_NGINX:-$(command -v nginx || echo /usr/sbin/nginx)}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

busy() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# port NAME FIRST: the value of the variable if it is free, or a free port

port() {
    local p=${!1:-}

    if [ -n "$p" ]; then
        if busy "$p"; then
            echo "port $p of 127.0.0.1 is in use, choose another $1" >&2
            exit 1
        fi

        echo "$p"
        return
    fi

    p=$2
    while busy "$p"; do p=$((p + 2)); done
    echo "$p"
}

PORT=$(port CTSEG_PORT 8088)
SEGMENT_PORT=$(port CTSEG_SEGMENT_PORT 8089)
API=http://127.0.0.1:$PORT/ctseg/api
UPLOAD=http://127.0.0.1:$PORT/1/upload
JSON='Content-Type: application/json'

# one nginx a directory: a store is one machine's, and so is a pid file

if [ -s "$dir/nginx.pid" ] && kill -0 "$(cat "$dir/nginx.pid")" 2>/dev/null
then
    echo "make $what runs already, as process $(cat "$dir/nginx.pid")" >&2
    exit 1
fi

[ "$what" = run ] || rm -rf "$dir"
mkdir -p "$dir/tmp"

user=
[ "$(id -u)" -ne 0 ] || user="user root;"

daemon=on
[ "$what" = demo ] || daemon=off

sed -e "s|@DIR@|$dir|g" -e "s|@MODULE@|$PWD/build/ngx_http_ctseg_module.so|" \
    -e "s|@PORT@|$PORT|g" -e "s|@SEGMENT_PORT@|$SEGMENT_PORT|g" \
    -e "s|@USER@|$user|" -e "s|@DAEMON@|$daemon|" \
    conf/demo.conf > "$dir/nginx.conf"

by_hand() {
    cat <<END
    # an event, as CleverTap's upload API takes it
    curl $UPLOAD -H '$JSON' -d '{"d":[{"type":"event",
      "identity":"u-1","evtName":"App Launched","evtData":{"plan":"gold"}}]}'

    # a partner: where to
    curl $API/partners -H '$JSON' \\
      -d '{"nickname":"Acme","write_key":"abcdefgh12345678"}'

    # an export: what and when (put the partner's id in)
    curl $API/exports -H '$JSON' \\
      -d '{"partner_id":"...","frequency":{"kind":"one_time","range":"today"}}'

    # how it goes (put the export's id in)
    curl $API/exports/...

    # what Segment's side got
    tail -n 1 build/run/segment.log
END
}

if [ "$what" = run ]; then
    say "nginx with ctseg on 127.0.0.1:$PORT until ^C"
    echo "the dashboard is http://127.0.0.1:$PORT/ctseg/; by hand:"
    by_hand
    exec "$nginx" -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log"
fi


# ---- the demo ----

quit() {
    if [ -s "$dir/nginx.pid" ]; then
        pid=$(cat "$dir/nginx.pid")
        kill -QUIT "$pid" 2>/dev/null || return 0
        timeout 20 tail --pid="$pid" -f /dev/null || true
    fi
}

failed() {
    echo "the demo failed, the last lines of $dir/error.log:" >&2
    tail -n 15 "$dir/error.log" >&2 || true
}

trap quit EXIT
trap failed ERR

# member NAME: the first value of that name in the JSON on stdin

member() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1; }

say "Starting nginx: the edge on port $PORT, Segment's part on $SEGMENT_PORT"
"$nginx" -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log"

curl -sSf --retry 50 --retry-delay 0 --retry-max-time 10 --retry-all-errors \
    -o /dev/null "$API/status"

bodies=12
records=500
say "Uploading $((bodies * records)) events, $records a request, 4 at a time"
perl t/tools/demo_events.pl "$dir" $bodies $records
printf '%s\n' "$dir"/upload-*.json | xargs -P 4 -I F \
    curl -sSf "$UPLOAD" -H "$JSON" --data-binary @F

status=$(curl -sSf "$API/status")
sequence=${status#*\"sequence\":}
echo "stored: $(echo "$sequence" | member last) events in" \
    "$(echo "$status" | sed 's/.*"commits":\([0-9]*\).*/\1/') commits"

say "Creating a partner"
partner=$(curl -sSf "$API/partners" -H "$JSON" \
    -d '{"nickname":"Acme, production","write_key":"demo-write-key-4711"}')
echo "$partner"

say "Creating an export of today's system events"
export=$(curl -sSf "$API/exports" -H "$JSON" -d '{
    "partner_id": "'"$(echo "$partner" | sed 's/{"id":"\([^"]*\).*/\1/')"'",
    "events": {"set": "system"},
    "frequency": {"kind": "one_time", "range": "today"}}')
id=$(echo "$export" | sed 's/{"id":"\([^"]*\).*/\1/')
echo "$export"

say "Watching it"
last=
echo "$(echo "${export%%\"stop_reason\"*}" | member status)  as it was created"
deadline=$((SECONDS + 60))

while :; do
    view=$(curl -sSf "$API/exports/$id")
    progress=${view##*\"progress\":}
    now=$(printf '%-8s sent %5s of %s, filtered %s' \
        "$(echo "${view%%\"last_run\"*}" | member status)" \
        "$(echo "$progress" | member sent)" $((bodies * records)) \
        "$(echo "$progress" | member filtered)")

    [ "$now" = "$last" ] || echo "$now"
    last=$now

    case $now in
        DONE*)  break ;;
    esac

    if [ $SECONDS -gt $deadline ]; then
        echo "the export is not DONE after a minute" >&2
        false
    fi

    # the state changes by itself; look at it some times a second
    read -r -t 0.1 <> <(:) || true
done

say "What Segment's side received"
received=$(grep -o '"messageId"' "$dir/segment.log" | wc -l)
unique=$(grep -o '"messageId":"[^"]*"' "$dir/segment.log" | sort -u | wc -l)
sent=$(echo "$progress" | member sent)
echo "$received messages in $(wc -l < "$dir/segment.log") batches," \
    "$unique different messageIds,"\
    "$(grep -o '"event":"[^"]*"' "$dir/segment.log" | sort -u | wc -l)" \
    "event names"

if [ "$received" -ne "$sent" ] || [ "$unique" -ne "$sent" ]; then
    echo "the export says $sent" >&2
    false
fi

say "One of them in full"
head -n 1 "$dir/segment.log" \
    | sed 's/^{"writeKey":"[^"]*","batch":\[//; s/},{"type":"track".*/}/' \
    | json_pp -json_opt pretty,canonical,utf8 2>/dev/null \
    || head -c 600 "$dir/segment.log"

say "The same by hand: make run, and in another terminal"
by_hand
