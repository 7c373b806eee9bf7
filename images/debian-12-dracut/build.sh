#!/bin/sh
# build.sh OUTPUT.img [--kernel-dir DIR] [--fresh]
#
# Builds the Debian 12 image at OUTPUT.img (raw, sparse, one ext4 file system, no partition table) and puts vmlinuz,
# initrd.img, initrd-dracut.img and packages.txt into DIR (default: beside the image). --fresh ignores the cached root
# file system and asks the mirror again. The cache is $BOOTSWARM_CACHE, by default ~/.cache/bootswarm.
set -eu

recipe=$(dirname "$(readlink -f "$0")")
# shellcheck source=images/debian-12-dracut/recipe.env
. "$recipe/recipe.env"
# shellcheck source=images/debian/building.sh
. "$recipe/../debian/building.sh"

# The same machine's other first stage: an initramfs of dracut's, with all drivers that this kernel has.
make_dracut_initramfs() {
  dracut_initrd=$rootfs/initrd-dracut.img-$(cd "$bootstrap" &&
    find install.sh dracut first-stage "../images/$(basename "$recipe")/build.sh" -type f | hash_files)
  if [ ! -f "$dracut_initrd" ]; then
    # dracut is a bash script that reads what its own programs write.
    # shellcheck disable=SC2016
    SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH unshare --mount sh -euc '
      mount --bind /proc "$1/proc"
      mount --bind /dev "$1/dev"
      chroot "$1" dracut --quiet --force --no-hostonly --reproducible --add bootswarm --zstd \
        /boot/initrd-dracut.img "$2"
    ' sh "$tree" "$version"
    mv "$tree/boot/initrd-dracut.img" "$dracut_initrd"
  fi
  cp "$dracut_initrd" "$kernel_dir/initrd-dracut.img"
}

take_arguments "$@"
check_host
unpack_root
make_boot_ready
make_dracut_initramfs
make_root_file_system "$output" "$SIZE"
copy_kernel
