# Which disk, and how nobody but the agent uses it.
# shellcheck shell=sh

# Sets disk to the name of a whole disk below /dev.
choose_disk() {
  case $disk in
    '' | auto) choose_only_disk ;;
    /dev/*) wait_for_disk ;;
    *) fail "bootswarm.disk=$disk is no path" 'write /dev/sda, /dev/disk/by-id/…, or auto' ;;
  esac
}

wait_for_disk() {
  wait_until "$patience" test -b "$disk" ||
    fail "there is no disk $disk" "name one of these by bootswarm.disk=: $(list_disks)" || return
  disk=$(readlink -f "$disk")
  [ -e "/sys/block/${disk##*/}" ] ||
    fail "$disk is a part of a disk" "name one of these by bootswarm.disk=: $(list_disks)"
}

choose_only_disk() {
  wait_until "$patience" test -n "$(disks_found)" ||
    fail 'this machine has no disk that this kernel has a driver for' \
      'put its driver into the initramfs, or name it by bootswarm.disk=' || return
  # Others may still be about to appear.
  udevadm settle --timeout=10
  # shellcheck disable=SC2046
  set -- $(disks_found)
  [ $# = 1 ] ||
    fail "this machine has $# disks: $(list_disks)" 'say which by bootswarm.disk=' || return
  disk=/dev/$1
}

# Disks that stay in the machine and can be written to.
disks_found() {
  for block in /sys/block/*; do
    [ -e "$block/device" ] || continue
    [ "$(cat "$block/removable") $(cat "$block/ro")" = '0 0' ] || continue
    [ "$(cat "$block/size")" -gt 0 ] && echo "${block##*/}"
  done
}

list_disks() {
  for name in $(disks_found); do
    echo "/dev/$name ($(($(cat "/sys/block/$name/size") / 2097152)) GiB)"
  done | sed -e ':a' -e N -e '$!ba' -e 's/\n/, /g'
}

# The disk, the NBD device and the device over it show the same UUIDs: what is said here holds until the next
# boot, for the udev of this initramfs and for that of the root, which reads the same /run.
hide_disk() {
  mkdir -p /run/udev/rules.d
  name=${disk##*/}
  case $name in *[0-9]) parts=${name}p ;; *) parts=$name ;; esac
  cat >/run/udev/rules.d/00-bootswarm.rules <<EOF
SUBSYSTEM!="block", GOTO="bootswarm_end"
KERNEL=="$name|${parts}[0-9]*|nbd0|nbd0p[0-9]*|ram0", GOTO="bootswarm_hide"
ATTR{dm/name}=="bootswarm-image", GOTO="bootswarm_hide"
GOTO="bootswarm_end"
LABEL="bootswarm_hide"
OPTIONS+="nowatch", OPTIONS+="link_priority=-1000"
ENV{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}="1", ENV{SYSTEMD_READY}="0"
ENV{DM_UDEV_DISABLE_DISK_RULES_FLAG}="1", ENV{DM_UDEV_DISABLE_OTHER_RULES_FLAG}="1"
ENV{UDISKS_IGNORE}="1"
LABEL="bootswarm_end"
EOF
  partx -d "$disk" 2>/dev/null
  udevadm control --reload
  udevadm trigger --action=change --name-match="$disk"
  udevadm settle --timeout=10
}

# What LVM is to look at: never the disk itself, nor what lies below the device that has the root. LVM takes a device that
# any of its names speaks for, so each name is said.
lvm_filter() {
  below_root=''
  if [ -e /dev/mapper/bootswarm-image ]; then
    below_root="\"r|^/dev/mapper/bootswarm-image$|\", \"r|^$(readlink -f /dev/mapper/bootswarm-image)$|\","
  fi
  echo "global_filter = [ \"r|^$disk.*|\", \"r|^/dev/nbd.*|\", \"r|^/dev/ram.*|\", $below_root \"a|.*|\" ]"
}
