#!/bin/sh
# build.sh OUTPUT.img [--kernel-dir DIR] [--fresh]
#
# Builds the Debian 12 image at OUTPUT.img (raw, sparse, GPT with GRUB for BIOS and UEFI) and puts vmlinuz, initrd.img
# and packages.txt into DIR (default: beside the image). --fresh ignores the cached root file system and asks the mirror
# again. The cache is $BOOTSWARM_CACHE, by default ~/.cache/bootswarm.
set -eu

recipe=$(dirname "$(readlink -f "$0")")
# shellcheck source=images/debian-12-gpt/recipe.env
. "$recipe/recipe.env"
# shellcheck source=images/debian/building.sh
. "$recipe/../debian/building.sh"
# shellcheck source=images/gpt/disk.sh
. "$recipe/../gpt/disk.sh"

take_arguments "$@"
check_host
unpack_root
make_boot_ready
install_grub "root=UUID=$UUID"
make_root_file_system "$scratch/root" "${root_partition_mib}M"
copy_kernel
make_disk "$scratch/disk" ext4
put "$scratch/root" "$scratch/disk" "$root_partition_at_mib"
mv "$scratch/disk" "$output"
