# A machine is itself: what of an image has to be different on every machine is made on the machine's own disk, at
# its first boot there. The image and its CID stay as they are.
# shellcheck shell=sh

# make_identity WHERE-THE-ROOT-IS: once on each machine, and again when the disk goes into another.
make_identity() {
  identity_of=$(machine_fingerprint)
  marker=$1/etc/bootswarm-machine
  [ "$(cat "$marker" 2>/dev/null)" = "$identity_of" ] && return
  was_writable=$(root_is_writable "$1")
  [ -n "$was_writable" ] || busybox mount -o remount,rw "$1" || return
  say 'making what is this machine and no other'
  make_machine_id "$1"
  make_host_name "$1"
  # Made anew by sshd's own packaging, or by the unit that bootswarm adds, when sshd starts.
  rm -f "$1"/etc/ssh/ssh_host_*_key "$1"/etc/ssh/ssh_host_*_key.pub
  echo "$identity_of" >"$marker"
  sync
  [ -n "$was_writable" ] || busybox mount -o remount,ro "$1"
}

# The mainboard's own number where it has one, else the first network card's address.
machine_fingerprint() {
  uuid=$(cat /sys/class/dmi/id/product_uuid 2>/dev/null)
  case $uuid in
    '' | 00000000-0000-0000-* | [Ff][Ff][Ff][Ff][Ff][Ff][Ff][Ff]-* | 03000200-0400-0500-*) ;;
    *)
      echo "smbios $uuid"
      return
      ;;
  esac
  for card in /sys/class/net/*; do
    [ -e "$card/device" ] || continue
    echo "card $(cat "$card/address")"
    return
  done
}

root_is_writable() { grep " $1 [^ ]* rw[, ]" /proc/mounts | head -n 1; }

# systemd makes one of its own where there is none; a random one is the same in all other ways.
make_machine_id() {
  [ -e "$1/etc/machine-id" ] || return
  sed 's/-//g' /proc/sys/kernel/random/uuid >"$1/etc/machine-id"
  [ ! -f "$1/var/lib/dbus/machine-id" ] || [ -L "$1/var/lib/dbus/machine-id" ] ||
    cat "$1/etc/machine-id" >"$1/var/lib/dbus/machine-id"
}

# Only where somebody said it: bootswarm.name=, or the DHCP server.
make_host_name() {
  [ -s /run/bootswarm/state/host-name ] || return
  old=$(cat "$1/etc/hostname" 2>/dev/null)
  cat /run/bootswarm/state/host-name >"$1/etc/hostname"
  [ -z "$old" ] || sed -i "s/\\([[:space:]]\\)$old\\([[:space:]]\\|$\\)/\\1$(cat /run/bootswarm/state/host-name)\\2/g" "$1/etc/hosts"
}

# For images whose SSH has keys of its own only when it is installed. What makes them has the processor when the boot
# leaves it some: an RSA key can take a slow one for ten seconds.
add_ssh_key_unit() {
  [ -x "$1/usr/bin/ssh-keygen" ] || return
  mkdir -p /run/systemd/system/multi-user.target.wants
  cat >/run/systemd/system/bootswarm-ssh-keys.service <<'EOF'
[Unit]
Description=Make the SSH host keys of this machine
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service sshd.service

[Service]
Type=oneshot
Nice=19
ExecStart=/usr/bin/ssh-keygen -A
EOF
  ln -sf ../bootswarm-ssh-keys.service /run/systemd/system/multi-user.target.wants/
}
