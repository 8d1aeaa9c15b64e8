#!/bin/sh
# Measures the driver over a file system in memory, as root after a build: sh test/fuse/bench.sh
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'umount -l "$work/mnt" 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir "$work/mnt"
cc -O2 -o "$work/client" "$here/test/fuse/bench-client.c"
: >"$work/events"
node "$here/dist/test/programs/memory-mount.js" direct "$work/mnt" >"$work/events" &
until grep -q ready "$work/events"; do sleep 0.1; done
"$work/client" "$work/mnt" >/dev/null # lets the compiler of the server warm up
"$work/client" "$work/mnt"
umount "$work/mnt"
wait
