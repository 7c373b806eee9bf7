# shellcheck shell=sh
# A GPT disk with GRUB for BIOS and UEFI, for the recipes' build.sh, after debian/building.sh. No partition is ever a device
# here: everything is put at its offset, with the image's own programs, so that the host's do not matter.
: "${tree:=}" "${scratch:=}" "${UUID:?}" "${DISK_MIB:?}" "${DISK_GUID:?}" "${BIOS_BOOT_GUID:?}" "${ESP_GUID:?}"
: "${ESP_ID:?}" "${ROOT_GUID:?}" "${SOURCE_DATE_EPOCH:?}"

bios_boot_at_mib=1
bios_boot_mib=1
esp_at_mib=2
esp_mib=64
root_partition_at_mib=$((esp_at_mib + esp_mib))
# The last MiB holds the second copy of the table.
root_partition_mib=$((DISK_MIB - root_partition_at_mib - 1))

# What GRUB needs to find its own directory; all else it loads from there.
grub_modules='part_gpt ext2 lvm search search_fs_uuid normal configfile'

# put FILE DISK MIB: writes the file into the disk there; zeros stay holes.
put() {
  dd if="$1" of="$2" bs=1M seek="$3" conv=sparse,notrunc status=none
}

# install_grub ROOT_ARGUMENT: GRUB's directory, its configuration and its two programs, in the tree. Outside of it, in
# scratch: boot.img, core.img and BOOTX64.EFI.
install_grub() {
  for platform in i386-pc x86_64-efi; do
    mkdir -p "$tree/boot/grub/$platform"
    (cd "$tree/usr/lib/grub/$platform" && cp ./*.mod ./*.lst "$tree/boot/grub/$platform/")
  done

  cat >"$tree/boot/grub/early.cfg" <<END
search.fs_uuid $UUID root
set prefix=(\$root)/boot/grub
END
  # shellcheck disable=SC2086  # a list
  chroot "$tree" grub-mkimage -O i386-pc -o /boot/grub/i386-pc/core.img -c /boot/grub/early.cfg -p /boot/grub \
    biosdisk $grub_modules
  # shellcheck disable=SC2086
  chroot "$tree" grub-mkimage -O x86_64-efi -o /boot/grub/x86_64-efi/core.efi -c /boot/grub/early.cfg -p /boot/grub \
    $grub_modules
  mv "$tree/boot/grub/i386-pc/core.img" "$scratch/core.img"
  mv "$tree/boot/grub/x86_64-efi/core.efi" "$scratch/BOOTX64.EFI"
  cp "$tree/usr/lib/grub/i386-pc/boot.img" "$scratch/boot.img"
  rm "$tree/boot/grub/early.cfg"

  write_grub_settings "$1"
}

# The first configuration boots whatever kernel the links name; update-grub, which every kernel package calls, replaces it
# by its own, made with the same settings.
write_grub_settings() {
  arguments='console=tty0 console=ttyS0,115200'
  cat >"$tree/etc/default/grub" <<END
GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX="$arguments"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_DISABLE_OS_PROBER=true
END
  cat >"$tree/boot/grub/grub.cfg" <<END
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set default=0
set timeout=1
menuentry 'Debian' {
  search --no-floppy --fs-uuid --set=root $UUID
  linux /vmlinuz $1 ro $arguments
  initrd /initrd.img
}
END
}

# make_disk DISK ext4|lvm: the table, the BIOS boot partition and the EFI system partition. Uses the tree, and leaves its
# files there: what the image holds has been taken out of it before.
make_disk() {
  case $2 in
    ext4) root_type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709 ;;
    lvm) root_type=E6D6D379-F507-44C2-A23C-238F2A3DF928 ;;
  esac
  disk=$tree/disk
  truncate --size "${DISK_MIB}M" "$disk"
  chroot "$tree" sfdisk --quiet --no-reread --no-tell-kernel --wipe never /disk <<END
label: gpt
label-id: $DISK_GUID
unit: sectors
start=$((bios_boot_at_mib * 2048)), size=$((bios_boot_mib * 2048)), type=21686148-6449-6E6F-744E-656564454649, uuid=$BIOS_BOOT_GUID, name="bios-boot"
start=$((esp_at_mib * 2048)), size=$((esp_mib * 2048)), type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=$ESP_GUID, name="esp"
start=$((root_partition_at_mib * 2048)), size=$((root_partition_mib * 2048)), type=$root_type, uuid=$ROOT_GUID, name="root"
END
  embed_grub "$disk"
  make_esp
  put "$tree/esp" "$disk" "$esp_at_mib"
  mv "$disk" "$1"
}

# little_endian NUMBER: eight bytes.
little_endian() {
  number=$1
  for _ in 1 2 3 4 5 6 7 8; do
    # shellcheck disable=SC2059  # the format is the byte
    printf "\\$(printf %03o $((number % 256)))"
    number=$((number / 256))
  done
}

# What grub-bios-setup would do with devices: boot.img's code goes in front of the table's part of the first sector and is told
# where core.img begins (0x5c) and not to doubt the drive's number (0x66, two bytes of no operation). The first sector
# of core.img is told where the rest of it is (0x1f4). The offsets are those of GRUB's include/grub/i386/pc/boot.h.
embed_grub() {
  core_sector=$((bios_boot_at_mib * 2048))
  [ "$(stat --format %s "$scratch/core.img")" -le $((bios_boot_mib * 1048576)) ] ||
    fail "GRUB's core.img does not fit into the BIOS boot partition"
  little_endian "$core_sector" | patch "$scratch/boot.img" 92
  printf '\220\220' | patch "$scratch/boot.img" 102
  little_endian "$((core_sector + 1))" | patch "$scratch/core.img" 500
  dd if="$scratch/boot.img" of="$1" bs=440 count=1 conv=notrunc status=none
  put "$scratch/core.img" "$1" "$bios_boot_at_mib"
}

# patch FILE OFFSET: writes what comes in.
patch() {
  dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# A FAT file system whose times stand still, with GRUB where firmware looks on a disk that it has not seen before.
make_esp() {
  truncate --size "${esp_mib}M" "$tree/esp"
  chroot "$tree" mkfs.fat --invariant -F 32 -s 1 -i "$(echo "$ESP_ID" | tr -d -)" -n ESP /esp >/dev/null
  cp "$scratch/BOOTX64.EFI" "$tree/BOOTX64.EFI"
  touch --date="@$SOURCE_DATE_EPOCH" "$tree/BOOTX64.EFI"
  SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH TZ=UTC MTOOLS_SKIP_CHECK=1 chroot "$tree" \
    sh -ec 'mmd -i /esp ::/EFI ::/EFI/BOOT; mcopy -m -i /esp /BOOTX64.EFI ::/EFI/BOOT/BOOTX64.EFI'
}
