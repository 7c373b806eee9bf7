#!/bin/sh
# RECIPE=… customize.sh ROOT: mmdebstrap calls this with the finished root directory. What Debian's packages leave open is
# settled here, and what they took from the building host or made at random is removed.
set -eu

root=$1
: "${RECIPE:?}" "${PACKAGES_LIST:?}"
here=$(dirname "$(readlink -f "$0")")
umask 022
# shellcheck source=images/debian-12/recipe.env
. "$RECIPE/recipe.env"

# --- what the image has of its own
"$here/overlay.sh" "$here/overlay" "$root"
echo "UUID=$UUID / ext4 errors=remount-ro 0 1" >"$root/etc/fstab"
if [ -n "${ESP_ID:-}" ]; then
  mkdir "$root/boot/efi"
  echo "UUID=$ESP_ID /boot/efi vfat umask=0077,nofail 0 2" >>"$root/etc/fstab"
fi
chroot "$root" systemctl --quiet enable ssh-host-key.service "${NETWORK:-systemd-networkd}.service"

# Root has no password and cannot log in. Whoever sets the kernel's command line owns the machine anyway, so that is
# where a log-in on the console can be asked for: see README.md.
sed -i '1i auth sufficient pam_exec.so quiet /usr/bin/grep -qwF bootswarm.console=root /proc/cmdline' \
  "$root/etc/pam.d/login"

# --- what came from the building host: its name server, its mirror and its ways to reach it
rm -f "$root/etc/resolv.conf" "$root/etc/apt/sources.list" "$root/etc/apt/apt.conf.d/99mmdebstrap"
rm -f "$root"/etc/apt/sources.list.d/*

# --- what was made at random or tells when it was made
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root/var/lib/systemd/random-seed" "$root/etc/.pwd.lock"
rm -f "$root/var/cache/ldconfig/aux-cache" "$root"/var/cache/debconf/*-old
find "$root/var/log" "$root/var/lib/apt/lists" "$root/var/cache/apt" ! -type d -delete

# The image is made without extended attributes, and a program that needs a capability would silently lack it. The recipe
# names those that root alone uses.
for program in ${FOR_ROOT_ALONE:-}; do chroot "$root" setcap -r "$program"; done
capabilities=$(chroot "$root" getcap -r /usr)
if [ -n "$capabilities" ]; then
  echo "customize.sh: the image cannot hold file capabilities: $capabilities" >&2
  exit 1
fi

chroot "$root" dpkg-query --show >"$PACKAGES_LIST"
