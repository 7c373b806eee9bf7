#!/bin/sh
# build.sh OUTPUT.img [--kernel-dir DIR] [--fresh]
#
# Builds the Debian 12 image at OUTPUT.img (raw, sparse, one ext4 file system, no partition table) and puts vmlinuz,
# initrd.img and packages.txt into DIR (default: beside the image). --fresh ignores the cached root file system and
# asks the mirror again. The cache is $BOOTSWARM_CACHE, by default ~/.cache/bootswarm.
set -eu

recipe=$(dirname "$(readlink -f "$0")")
# shellcheck source=images/debian-12/recipe.env
. "$recipe/recipe.env"
# shellcheck source=images/debian/building.sh
. "$recipe/../debian/building.sh"

take_arguments "$@"
check_host
unpack_root
make_boot_ready
make_root_file_system "$output" "$SIZE"
copy_kernel
