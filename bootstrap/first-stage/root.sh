# The agent's device, and which part of it is the root.
# shellcheck shell=sh

mapped=/dev/mapper/bootswarm

map_device() {
  [ -e "$mapped" ] && return
  modprobe -q dm-mod
  case $writes in
    keep) map_linear bootswarm || return ;;
    discard) { map_linear bootswarm-image --readonly && map_snapshot; } || return ;;
  esac
  [ -z "$(tag PTTYPE "$mapped")" ] || map_partitions || return
  udevadm settle --timeout=10
  map_volumes
}

# map_linear NAME [OPTION]: one linear target over the agent's device, which a hand-over puts over the disk itself later.
map_linear() {
  [ -e "/dev/mapper/$1" ] && return
  below=/dev/nbd0
  if [ -e /run/bootswarm/state/handed-over ]; then below=$disk; fi
  dmsetup create "$@" --uuid "BOOTSWARM-${disk##*/}" --table "0 $(image_sectors) linear $below 0" ||
    fail 'device-mapper does not take the device of the agent' \
      'the initramfs needs dm-mod and dmsetup: run update-initramfs with the hook installed'
}

# Over that, in chunks of 4 KiB, what the machine writes: in memory, which the disk need not have room for, and which a
# hand-over below it does not touch.
map_snapshot() {
  modprobe -q dm-snapshot
  make_overlay || return
  dmsetup create bootswarm --uuid "BOOTSWARM-DISCARD-${disk##*/}" \
    --table "0 $(image_sectors) snapshot /dev/mapper/bootswarm-image /dev/ram0 N 8" ||
    fail 'device-mapper cannot keep the writes of this machine from its disk' \
      'the initramfs needs dm-snapshot: run update-initramfs with the hook installed' || return
  say "what this machine writes goes to memory, $((overlay_kib / 1024)) MiB at most, and is gone with its next start"
}

# /dev/ram0 takes memory only as it is written to.
make_overlay() {
  overlay_kib=$(overlay_kib)
  [ "$overlay_kib" -lt "$(memory_kib MemTotal)" ] ||
    fail "bootswarm.overlay=$overlay is more memory than this machine has" 'write a smaller size' || return
  modprobe -q brd rd_nr=1 "rd_size=$overlay_kib"
  [ -e /sys/block/ram0 ] ||
    fail 'this kernel has no ram disk for what the machine writes' 'put the module brd into the initramfs' || return
  [ "$(cat /sys/block/ram0/size)" -ge $((overlay_kib * 2)) ] ||
    fail "the ram disk of this kernel is smaller than $overlay_kib KiB" "add brd.rd_size=$overlay_kib"
}

# Half of what is free now that the agent runs, unless somebody said how much.
overlay_kib() {
  case $overlay in
    *M) echo $((${overlay%M} * 1024)) ;;
    *G) echo $((${overlay%G} * 1048576)) ;;
    *) echo $(($(memory_kib MemAvailable) / 2)) ;;
  esac
}

memory_kib() { sed -n "s/^$1: *\([0-9]*\) kB/\1/p" /proc/meminfo; }

image_sectors() {
  echo $(($(sed -n 's/.*"size":\([0-9]*\).*/\1/p' /run/bootswarm/state/ready) / 512))
}

map_partitions() {
  command -v kpartx >/dev/null ||
    fail 'the image has partitions and the initramfs has no kpartx' \
      'install kpartx in the image and run update-initramfs' || return
  kpartx -a -s -p -part "$mapped" ||
    fail 'the partitions of the image cannot be mapped' 'look at the image with fdisk -l'
}

map_volumes() {
  for device in $(devices); do
    [ "$(tag TYPE "$device")" = LVM2_member ] || continue
    command -v lvm >/dev/null ||
      fail 'the image has its root on LVM and the initramfs has no lvm' \
        'install lvm2 in the image and run update-initramfs' || return
    lvm vgchange -ay --config "devices { $(lvm_filter) }" >/dev/null ||
      fail 'the volume groups of the image cannot be activated' 'run lvm vgs -v in this shell' || return
    udevadm settle --timeout=10
    return
  done
}

# The whole image, its partitions and its logical volumes.
devices() {
  for device in /dev/mapper/*; do
    case ${device##*/} in control | bootswarm-image) ;; *) echo "$device" ;; esac
  done
}

# A device is looked at once: blkid reads it in some forty places, which all have to come from somewhere.
tag() {
  tags=/run/bootswarm/state/tags-${2##*/}
  [ -e "$tags" ] || blkid -p -o export "$2" >"$tags" 2>/dev/null
  # Spaces and the like are written with a backslash.
  sed -n "s/^$1=//p" "$tags" | sed 's/\\\(.\)/\1/g'
}

# Sets root_device: what root= names, among what lies over the agent's device and nowhere else.
find_root() {
  root_device=''
  case $boot_root in
    '') find_root_by_looking ;;
    UUID=*) find_root_by UUID "${boot_root#UUID=}" ;;
    LABEL=*) find_root_by LABEL "${boot_root#LABEL=}" ;;
    PARTUUID=*) find_root_by PART_ENTRY_UUID "${boot_root#PARTUUID=}" ;;
    PARTLABEL=*) find_root_by PART_ENTRY_NAME "${boot_root#PARTLABEL=}" ;;
    /dev/disk/by-uuid/*) find_root_by UUID "${boot_root##*/}" ;;
    /dev/disk/by-label/*) find_root_by LABEL "${boot_root##*/}" ;;
    *) find_root_by_path ;;
  esac
  [ -n "$root_device" ] ||
    fail "the image has no root${boot_root:+ that is $boot_root}: it has $(list_devices)" \
      'look at the root= of the kernel arguments, and at the image'
}

find_root_by() {
  for device in $(devices); do
    [ "$(tag "$1" "$device" | tr '[:upper:]' '[:lower:]')" = "$(echo "$2" | tr '[:upper:]' '[:lower:]')" ] || continue
    root_device=$device
    return
  done
}

# /dev/vda2, /dev/nvme0n1p2 and the like mean a partition of the image, /dev/vda all of it; others are taken as they
# are when they exist by now (/dev/VG/LV).
find_root_by_path() {
  root_device=$(place_in_image "$boot_root")
  [ -b "$root_device" ] || root_device=''
}

place_in_image() {
  case $1 in
    /dev/nvme*p[0-9]* | /dev/mmcblk*p[0-9]*) echo "$mapped-part${1##*p}" ;;
    /dev/nvme* | /dev/mmcblk*) echo "$mapped" ;;
    /dev/[shv]d[a-z]*[0-9]) echo "$mapped-part${1##*[a-z]}" ;;
    /dev/[shv]d[a-z]*) echo "$mapped" ;;
    *) echo "$1" ;;
  esac
}

find_root_by_looking() {
  mkdir -p /run/bootswarm-look
  for device in $(devices); do
    case $(tag TYPE "$device") in
      ext[234]) how=ro,noload ;;
      xfs) how=ro,norecovery ;;
      btrfs) how=ro ;;
      *) continue ;;
    esac
    busybox mount -t "$(tag TYPE "$device")" -o "$how" "$device" /run/bootswarm-look 2>/dev/null || continue
    # An absolute symbolic link would lead out of it: being there is enough.
    if [ -e /run/bootswarm-look/etc/fstab ] && [ -e /run/bootswarm-look/etc/passwd ]; then
      root_device=$device
    fi
    busybox umount /run/bootswarm-look
    [ -z "$root_device" ] || break
  done
}

list_devices() {
  for device in $(devices); do
    echo "${device##*/} $(tag TYPE "$device") $(tag UUID "$device")"
  done | sed -e ':a' -e N -e '$!ba' -e 's/\n/, /g'
}
