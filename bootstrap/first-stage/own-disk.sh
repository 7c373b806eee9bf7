# A machine whose writes are discarded, started from its disk alone, with neither agent nor network.
# shellcheck shell=sh

# spare_disk ROOT: if the disk that it lies on was handed over as one whose machine's writes are discarded, sets root_device to
# the same place in a snapshot of that disk.
spare_disk() {
  root_device=''
  name=$(readlink -f "$1")
  name=${name##*/}
  disk=$(disk_below "$name")
  discards_writes || return 0
  say "what this machine writes is discarded: $disk stays as it is"
  if [ -e "/sys/class/block/$name/dm/name" ]; then
    place=/dev/mapper/$(cat "/sys/class/block/$name/dm/name")
    lvm vgchange -an >/dev/null
  elif [ -e "/sys/class/block/$name/partition" ]; then
    place=$mapped-part$(cat "/sys/class/block/$name/partition")
  else
    place=$mapped
  fi
  writes=discard overlay=''
  mkdir -p /run/bootswarm/state
  printf '%s' "$disk" >/run/bootswarm/state/disk
  echo "{\"size\":$image_bytes}" >/run/bootswarm/state/ready
  : >/run/bootswarm/state/handed-over
  : >/run/bootswarm/state/said-attached
  hide_disk
  map_device || return
  [ -b "$place" ] ||
    fail "$1 is not in the snapshot of $disk: it has $(list_devices)" 'start this machine from the network' || return
  # Whoever sources this uses it.
  # shellcheck disable=SC2034
  root_device=$place
}

# The whole disk below a partition or a volume, by its name.
disk_below() {
  for lower in "/sys/class/block/$1/slaves"/*; do
    [ -e "$lower" ] || continue
    disk_below "${lower##*/}"
    return
  done
  path=$(readlink -f "/sys/class/block/$1")
  if [ -e "$path/partition" ]; then path=${path%/*}; fi
  echo "/dev/${path##*/}"
}

# Whether the superblock of the disk says so (docs/disk-format.md). Sets image_bytes. The last page of the disk has a copy; of
# two intact ones the first was written first.
discards_writes() {
  last=$(($(cat "/sys/class/block/${disk##*/}/size") / 8 - 1))
  read_superblock "$last" || return
  first=$((0x$(field 144 8)))
  [ "$first" != 0 ] || first=$((0x$(field 96 8)))
  read_superblock $(((first + 4095) / 4096)) || read_superblock "$last" || return
  image_bytes=$((0x$(field 96 8)))
  # Handed over, and discarded.
  [ $((0x$(field 10 2) & 80)) = 80 ]
}

# read_superblock PAGE: into a line of hexadecimal digits; fails if it is none of this version, or damaged.
read_superblock() {
  superblock=$(page "$1" | busybox hexdump -v -n 512 -e '1/1 "%02x"')
  case $superblock in 4253574d6469736b0002*) ;; *) return 1 ;; esac
  # gzip ends with the CRC of what it was given and its length, both little-endian.
  [ "$(page "$1" | head -c 508 | busybox gzip -c | tail -c 8 | busybox hexdump -n 4 -e '1/4 "%08x"')" = "$(field 508 4)" ]
}

page() { busybox dd if="$disk" bs=4096 skip="$1" count=1 2>/dev/null; }

# field OFFSET LENGTH, in bytes.
field() { echo "$superblock" | cut -c $(($1 * 2 + 1))-$((($1 + $2) * 2)); }
