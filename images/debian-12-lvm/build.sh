#!/bin/sh
# build.sh OUTPUT.img [--kernel-dir DIR] [--fresh]
#
# Builds the Debian 12 image at OUTPUT.img (raw, sparse, GPT with GRUB for BIOS and UEFI, root on LVM) and puts vmlinuz,
# initrd.img and packages.txt into DIR (default: beside the image). --fresh ignores the cached root file system and asks
# the mirror again. The cache is $BOOTSWARM_CACHE, by default ~/.cache/bootswarm.
set -eu

recipe=$(dirname "$(readlink -f "$0")")
# shellcheck source=images/debian-12-lvm/recipe.env
. "$recipe/recipe.env"
# shellcheck source=images/debian/building.sh
. "$recipe/../debian/building.sh"
# shellcheck source=images/gpt/disk.sh
. "$recipe/../gpt/disk.sh"

node=$recipe/../../node_modules/.bin/node
# What LVM keeps of itself lies in front of the first extent.
label_mib=1
extent_mib=4
volume_mib=$(((root_partition_mib - label_mib - FREE_MIB) / extent_mib * extent_mib))

take_arguments "$@"
check_host
[ -x "$node" ] || fail "needs $node: npm ci"
unpack_root
make_boot_ready
install_grub "root=/dev/mapper/$VOLUME_GROUP-root"
make_root_file_system "$scratch/root" "${volume_mib}M"
copy_kernel
"$node" "$recipe/../gpt/write-physical-volume.ts" "$scratch/label" \
  --name "$VOLUME_GROUP" --id "$VOLUME_GROUP_ID" \
  --physical-id "$PHYSICAL_VOLUME_ID" --physical-bytes $((root_partition_mib * 1048576)) \
  --logical-name root --logical-id "$LOGICAL_VOLUME_ID" --logical-bytes $((volume_mib * 1048576)) \
  --created-at "$SOURCE_DATE_EPOCH"
make_disk "$scratch/disk" lvm
put "$scratch/label" "$scratch/disk" "$root_partition_at_mib"
put "$scratch/root" "$scratch/disk" $((root_partition_at_mib + label_mib))
mv "$scratch/disk" "$output"
