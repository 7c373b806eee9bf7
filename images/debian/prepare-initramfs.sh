#!/bin/sh
# prepare-initramfs.sh ROOT: mmdebstrap calls this before any package but the essential ones is there, so that the
# initramfs, which the kernel's package makes, is made once and holds what it should: the drivers that labs need, and what
# gets a machine's root from the swarm (../../bootstrap).
set -eu

root=$1
here=$(dirname "$(readlink -f "$0")")
"$here/overlay.sh" "$here/overlay/etc/initramfs-tools" "$root/etc/initramfs-tools"
"$here/../../bootstrap/install.sh" "$root"
