#!/bin/sh
# Runs ../shared/tools/torture against the program: plain kills, then power cuts in each mode of
# a file system that forgets what was not synced. Wants python with boto3 and mfusepy on the PATH.
#   KILLS=50 CUTS=20 tests/torture.sh
set -eu
cd "$(dirname "$0")/.."
tools=../shared/tools/torture
if [ ! -d "$tools" ]; then
    echo "torture: $tools is not there; skipped" >&2
    exit 0
fi
node=${STEPWIRE:-target/debug/stepwire}
folder=$(mktemp -d)
mount=
cleanup() {
    if [ -n "$mount" ]; then
        kill "$mount" 2>/dev/null || true
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
    python3 "$tools/kill9.py" --endpoint "http://127.0.0.1:$port" --data "$data" --fresh \
        --cmd "$node serve --data {data} --http 127.0.0.1:{port} --mqtts 127.0.0.1:0" "$@"
}

echo "== ${KILLS:-50} kills"
kill9 "$folder/kills" --kills "${KILLS:-50}" --min-up 0.2 --max-up 1.6

if [ ! -e /dev/fuse ]; then
    echo "torture: no /dev/fuse; power cuts skipped" >&2
    exit 0
fi
command -v fusermount3 >/dev/null 2>&1 || command -v fusermount >/dev/null 2>&1 || {
    echo "torture: fuse is not installed (apt-get install fuse3); power cuts skipped" >&2
    exit 0
}
mkdir -p "$folder/back" "$folder/mnt"
python3 "$tools/lossyfs.py" mount "$folder/back" "$folder/mnt" --ctl "$folder/ctl" >"$folder/lossyfs.log" 2>&1 &
mount=$!
tries=0
until mountpoint -q "$folder/mnt"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { cat "$folder/lossyfs.log" >&2; exit 1; }
    sleep 0.1
done
for mode in drop random torn prefix; do
    echo "== ${CUTS:-20} power cuts, $mode"
    kill9 "$folder/mnt/$mode" --kills "${CUTS:-20}" --min-up 0.3 --max-up 1.6 \
        --after-kill "python3 $tools/lossyfs.py ctl $folder/ctl cut $mode"
done
