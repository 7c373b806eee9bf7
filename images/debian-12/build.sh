#!/bin/sh
# build.sh OUTPUT.img [--kernel-dir DIR] [--fresh]
#
# Builds the Debian 12 image at OUTPUT.img (raw, sparse, one ext4 file system, no partition table) and puts vmlinuz,
# initrd.img and packages.txt into DIR (default: beside the image). --fresh ignores the cached root file system and
# asks the mirror again. The cache is $BOOTSWARM_CACHE, by default ~/.cache/bootswarm.
set -eu

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=images/debian-12/recipe.env
. "$here/recipe.env"

fail() {
  echo "build.sh: $1" >&2
  exit "${2:-1}"
}
usage() { fail 'usage: build.sh OUTPUT.img [--kernel-dir DIR] [--fresh]' 2; }

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

[ "$(id -u)" = 0 ] || fail 'needs root, to unpack Debian packages with their owners: run it with sudo'
[ "$(uname -m)" = x86_64 ] || fail 'builds an amd64 image and runs its programs: needs an x86_64 host'
for tool in mmdebstrap:mmdebstrap mke2fs:e2fsprogs debugfs:e2fsprogs; do
  command -v "${tool%:*}" >/dev/null || fail "needs ${tool%:*}: apt-get install ${tool#*:}"
done

# Two recipes never share a cached root file system.
key=$(cd "$here" && find recipe.env rootfs.sh customize.sh overlay -type f | LC_ALL=C sort |
  xargs sha256sum | sha256sum | cut -c 1-16)
cache=${BOOTSWARM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/bootswarm}/debian-12
rootfs=$cache/$key
mkdir -p "$cache" "$kernel_dir" "$(dirname "$output")"

scratch=$(mktemp -d "$cache/building.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

if [ -n "$fresh" ] || [ ! -f "$rootfs/rootfs.tar" ]; then
  mkdir "$scratch/rootfs"
  "$here/rootfs.sh" "$scratch/rootfs"
  rm -rf "$rootfs"
  # Another build of the same recipe may have been faster; its result is as good.
  mv -T "$scratch/rootfs" "$rootfs" || [ -f "$rootfs/rootfs.tar" ]
fi

mkdir "$scratch/tree"
tar --extract --file "$rootfs/rootfs.tar" --directory "$scratch/tree" --numeric-owner --same-permissions
# The kernel fills /dev; the image needs only the directory.
mkdir "$scratch/tree/dev"
touch --date="@$SOURCE_DATE_EPOCH" "$scratch/tree/dev"

TMPDIR=$scratch UUID=$UUID HASH_SEED=$HASH_SEED LABEL=$LABEL SIZE=$SIZE SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH \
  "$here/../tree-to-ext4.sh" "$scratch/tree" "$output"

cp "$scratch"/tree/boot/vmlinuz-* "$kernel_dir/vmlinuz"
cp "$scratch"/tree/boot/initrd.img-* "$kernel_dir/initrd.img"
cp "$rootfs/packages.txt" "$kernel_dir/packages.txt"
