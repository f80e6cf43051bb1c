#!/bin/sh
# Runs ../shared/tools/torture against the program: plain kills, then power cuts in each mode of
# a file system that forgets what was not synced, then faults of the disk.
# Wants python3 with boto3 and mfusepy on the PATH, and fuse3.
#   KILLS=50 CUTS=20 MODES="drop random torn prefix" tests/torture.sh
#   STRICT=--strict-dirents tests/torture.sh     names are lost too unless their folder was synced
set -eu
cd "$(dirname "$0")/.."
tools=../shared/tools/torture
if [ ! -d "$tools" ]; then
    echo "torture: $tools is not there; skipped" >&2
    exit 0
fi
node=${STEPWIRE:-${CARGO_TARGET_DIR:-target}/debug/stepwire}
[ -x "$node" ] || {
    printf 'error: there is no `%s`\nhint: `cargo build`, or name the program with STEPWIRE\n' "$node" >&2
    exit 1
}
folder=$(mktemp -d)
mount=
plain=
cleanup() {
    [ -z "$plain" ] || wait "$plain" || true
    if [ -n "$mount" ]; then
        python3 "$tools/lossyfs.py" ctl "$folder/ctl" quit >/dev/null 2>&1 || kill "$mount" 2>/dev/null || true
        wait "$mount" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap cleanup EXIT INT TERM

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

kill9() { # kill9 DATA ARGUMENTS...
    data=$1
    shift
    port=$(free_port)
    log=$folder/$(basename "$data").server.log
    python3 "$tools/kill9.py" --endpoint "http://127.0.0.1:$port" --data "$data" --fresh \
        --server-log "$log" \
        --cmd "$node serve --data {data} --http 127.0.0.1:{port} --mqtts 127.0.0.1:0" "$@" || {
        went=$?
        echo "-- the end of what the node said:"
        tail -n 40 "$log"
        return "$went"
    }
}

# Plain kills, beside the power cuts: both spend most of their time waiting.
#
# Not both kinds in one run: a process that SIGSTOP holds cannot see SIGTERM, the tool waits thirty
# seconds for it, and calls the timers of that time late.
plain() {
    kills=${KILLS:-50}
    echo "== $kills kills, some after a pause"
    kill9 "$folder/kills" --kills "$kills" --min-up 0.2 --max-up 1.6 --term-fraction 0
    echo "== $((kills / 5)) ends, half of them by SIGTERM"
    kill9 "$folder/terms" --kills "$((kills / 5))" --min-up 0.2 --max-up 1.6 --term-fraction 0.5 --pause-fraction 0
}
(plain) >"$folder/plain.log" 2>&1 &
plain=$!

# Waits for the plain kills and tells how they went.
finish_plain() {
    went=0
    wait "$plain" || went=$?
    plain=
    cat "$folder/plain.log"
    return "$went"
}

if [ ! -e /dev/fuse ]; then
    echo "torture: no /dev/fuse; power cuts and faults skipped" >&2
    finish_plain
    exit 0
fi
command -v fusermount3 >/dev/null 2>&1 || command -v fusermount >/dev/null 2>&1 || {
    echo "torture: fuse is not installed (apt-get install fuse3); power cuts and faults skipped" >&2
    finish_plain
    exit 0
}
mkdir -p "$folder/back" "$folder/mnt" "$folder/faults"
python3 "$tools/lossyfs.py" mount "$folder/back" "$folder/mnt" --ctl "$folder/ctl" ${STRICT:-} >"$folder/lossyfs.log" 2>&1 &
mount=$!
tries=0
until mountpoint -q "$folder/mnt"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { cat "$folder/lossyfs.log" >&2; exit 1; }
    sleep 0.1
done
for mode in ${MODES:-drop random torn prefix}; do
    echo "== ${CUTS:-20} power cuts, $mode ${STRICT:-}"
    kill9 "$folder/mnt/$mode" --kills "${CUTS:-20}" --min-up 0.3 --max-up 1.6 --term-fraction 0 \
        --after-kill "python3 $tools/lossyfs.py ctl $folder/ctl cut $mode >/dev/null"
done

finish_plain

echo "== faults of the disk"
python3 tests/faults.py "$node" "$tools/lossyfs.py" "$folder/faults"
