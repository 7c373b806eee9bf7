#!/bin/sh
# install.sh [ROOT]: puts the initramfs-tools hook and its scripts into a system (default: this one), and the module for
# dracut where that is installed. The initramfs needs the packages busybox, zstd, dmsetup and, for images with partitions or LVM, kpartx and lvm2.
set -eu

here=$(dirname "$(readlink -f "$0")")
root=${1:-}
umask 022
for script in hooks/bootswarm scripts/local-top/bootswarm scripts/local-premount/bootswarm \
  scripts/init-bottom/bootswarm; do
  install -D -m 0755 "$here/initramfs-tools/$script" "$root/etc/initramfs-tools/$script"
done
for part in "$here"/first-stage/*.sh; do
  install -D -m 0644 "$part" "$root/usr/share/bootswarm/first-stage/${part##*/}"
done
if [ -d "$root/usr/lib/dracut/modules.d" ]; then
  for part in "$here"/dracut/90bootswarm/*.sh; do
    install -D -m 0755 "$part" "$root/usr/lib/dracut/modules.d/90bootswarm/${part##*/}"
  done
fi
