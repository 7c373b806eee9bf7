# shellcheck shell=sh
# What the recipes' build.sh have in common; they set `recipe` to their directory and read recipe.env, then read this.
: "${recipe:?}" "${SOURCE_DATE_EPOCH:?}"
images=$(dirname "$recipe")

fail() {
  echo "build.sh: $1" >&2
  exit "${2:-1}"
}
usage() { fail 'usage: build.sh OUTPUT.img [--kernel-dir DIR] [--fresh]' 2; }

# Sets output, kernel_dir and fresh.
take_arguments() {
  output='' kernel_dir='' fresh=''
  while [ $# -gt 0 ]; do
    case $1 in
      --kernel-dir)
        [ $# -ge 2 ] || usage
        kernel_dir=$2
        shift
        ;;
      --fresh) fresh=yes ;;
      -*) usage ;;
      *)
        [ -z "$output" ] || usage
        output=$1
        ;;
    esac
    shift
  done
  [ -n "$output" ] || usage
  kernel_dir=${kernel_dir:-$(dirname "$output")}
  mkdir -p "$kernel_dir" "$(dirname "$output")"
}

check_host() {
  [ "$(id -u)" = 0 ] || fail 'needs root, to unpack Debian packages with their owners: run it with sudo'
  [ "$(uname -m)" = x86_64 ] || fail 'builds an amd64 image and runs its programs: needs an x86_64 host'
  for tool in mmdebstrap:mmdebstrap mke2fs:e2fsprogs debugfs:e2fsprogs; do
    command -v "${tool%:*}" >/dev/null || fail "needs ${tool%:*}: apt-get install ${tool#*:}"
  done
}

# The files whose names come in.
hash_files() {
  LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c 1-16
}

# Makes the recipe's root file system, or takes it from the cache, and unpacks it. Sets scratch, which goes at the end,
# and in it tree; sets rootfs, where packages.txt is.
unpack_root() {
  # Two recipes never share a cached root file system, nor do two states of one.
  key=$(cd "$images" && find debian "$(basename "$recipe")/recipe.env" -type f \
    ! -name building.sh ! -path 'debian/initramfs-tools/*' | hash_files)
  cache=${BOOTSWARM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/bootswarm}/$(basename "$recipe")
  rootfs=$cache/$key
  mkdir -p "$cache"
  scratch=$(mktemp -d "$cache/building.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 1' HUP INT TERM

  if [ -n "$fresh" ] || [ ! -f "$rootfs/rootfs.tar" ]; then
    mkdir "$scratch/rootfs"
    "$images/debian/rootfs.sh" "$recipe" "$scratch/rootfs"
    rm -rf "$rootfs"
    # Another build of the same recipe may have been faster; its result is as good.
    mv -T "$scratch/rootfs" "$rootfs" || [ -f "$rootfs/rootfs.tar" ]
  fi

  tree=$scratch/tree
  mkdir "$tree"
  tar --extract --file "$rootfs/rootfs.tar" --directory "$tree" --numeric-owner --same-permissions
  # The kernel fills /dev; the image needs only the directory.
  mkdir "$tree/dev"
}

# Installs what gets a machine's root from the swarm and the drivers that it needs for that, and makes the initramfs, or takes it from the cache.
make_boot_ready() {
  bootstrap=$images/../bootstrap
  "$bootstrap/install.sh" "$tree"
  "$images/debian/overlay.sh" "$images/debian/initramfs-tools" "$tree/etc/initramfs-tools"
  version=$(cd "$tree/lib/modules" && echo *)
  initrd=$rootfs/initrd.img-$(cd "$bootstrap" &&
    find install.sh initramfs-tools first-stage ../images/debian/initramfs-tools -type f | hash_files)
  if [ ! -f "$initrd" ]; then
    mknod -m 0666 "$tree/dev/null" c 1 3
    SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH chroot "$tree" mkinitramfs -o /initrd.new "$version"
    mv "$tree/initrd.new" "$initrd"
    rm "$tree/dev/null"
  fi
  cp "$initrd" "$tree/boot/initrd.img-$version"
  ln -sf "boot/initrd.img-$version" "$tree/initrd.img"
}

# make_root_file_system OUTPUT SIZE: of the tree as it is now.
make_root_file_system() {
  find "$tree" -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
  TMPDIR=$scratch UUID=$UUID HASH_SEED=$HASH_SEED LABEL=$LABEL SIZE=$2 SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH \
    "$images/tree-to-ext4.sh" "$tree" "$1"
}

# What boots the image from outside lies beside it.
copy_kernel() {
  cp "$tree"/boot/vmlinuz-* "$kernel_dir/vmlinuz"
  cp "$tree"/boot/initrd.img-* "$kernel_dir/initrd.img"
  cp "$rootfs/packages.txt" "$kernel_dir/packages.txt"
}
