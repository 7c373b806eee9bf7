#!/bin/sh
# record-boot.sh IMAGE KERNEL_DIR OUT.json [--cid CID]
#
# Boots a raw image under QEMU up to its login prompt and writes every read that it sent to its disk, with the time of
# each, into OUT.json: the trace that the lab bench replays. KERNEL_DIR holds vmlinuz and initrd.img, as build.sh leaves
# them. The image is not changed. CID names the image in the trace; without it the image is imported once, to learn it.
set -eu

here=$(dirname "$(readlink -f "$0")")
root=$(dirname "$here")

fail() {
  echo "record-boot.sh: $1" >&2
  exit "${2:-1}"
}
usage() { fail 'usage: record-boot.sh IMAGE KERNEL_DIR OUT.json [--cid CID]' 2; }

[ $# -eq 3 ] || { [ $# -eq 5 ] && [ "$4" = --cid ]; } || usage
image=$(readlink -f "$1") kernel_dir=$(readlink -f "$2") output=$3 cid=${5:-}
for file in "$image" "$kernel_dir/vmlinuz" "$kernel_dir/initrd.img"; do
  [ -f "$file" ] || fail "there is no $file; build the image with: images/debian-12/build.sh OUTPUT.img"
done
for tool in nbdkit:nbdkit qemu-system-x86_64:qemu-system-x86; do
  command -v "${tool%:*}" >/dev/null || fail "needs ${tool%:*}: apt-get install ${tool#*:}"
done

scratch=$(mktemp -d "${TMPDIR:-/tmp}/record-boot.XXXXXX")
server='' guest=''
# Invoked by the trap.
# shellcheck disable=SC2317
clean_up() {
  for process in $guest $server; do kill -KILL "$process" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

if [ -z "$cid" ]; then
  cid=$("$root/bin/bootswarm" image import "$image" --name recorded --store "$scratch/store" | tail -n 1)
fi

# Other work on the host would stretch the gaps between the reads, so this comes first where it may.
ahead='nice -n -20'
$ahead true 2>/dev/null || ahead=''

# The filter that logs comes first and sees what the guest sends; what the guest writes goes to the second and is lost.
$ahead nbdkit --foreground --unix "$scratch/disk.sock" --filter=log --filter=cow \
  file "$image" logfile="$scratch/reads.log" &
server=$!
while [ ! -S "$scratch/disk.sock" ]; do
  kill -0 "$server" 2>/dev/null || fail 'nbdkit ended at once'
  sleep 0.1
done

# Software emulation, as in the boot test: the same machine everywhere.
: >"$scratch/console"
$ahead qemu-system-x86_64 -machine q35,accel=tcg -cpu max -smp 1 -m 1024 -nic none -display none -monitor none \
  -serial "file:$scratch/console" -no-reboot \
  -kernel "$kernel_dir/vmlinuz" -initrd "$kernel_dir/initrd.img" -append 'root=/dev/vda ro console=ttyS0 panic=-1' \
  -drive "file=nbd:unix:$scratch/disk.sock,format=raw,if=virtio,cache=none" &
guest=$!

waited=0
until grep -q ' login: ' "$scratch/console"; do
  kill -0 "$guest" 2>/dev/null || fail "the guest ended before its login prompt: $(tail -n 3 "$scratch/console")"
  [ "$waited" -lt 6000 ] || fail "no login prompt within 10 minutes: $(tail -n 3 "$scratch/console")"
  waited=$((waited + 1))
  sleep 0.1
done
kill -KILL "$guest"

"$root/node_modules/.bin/node" "$root/bench/lab/write-trace.ts" "$scratch/reads.log" "$cid" "$output"
