# With the root mounted, and before it starts.
# shellcheck shell=sh

# shellcheck source=bootstrap/first-stage/messages.sh
. /usr/lib/bootswarm/messages.sh
# shellcheck source=bootstrap/first-stage/disk.sh
. /usr/lib/bootswarm/disk.sh

# prepare_root WHERE-IT-IS-MOUNTED. Nothing of the image is changed: all of it lies in /run, which goes with us.
prepare_root() {
  disk=$(cat /run/bootswarm/state/disk)
  filter_lvm "$1"
  keep_network
}

# LVM has no other place for what holds until the next boot than its own file.
filter_lvm() {
  local_conf=$1/etc/lvm/lvmlocal.conf
  [ -e "$local_conf" ] || return
  {
    cat "$local_conf"
    echo "devices { $(lvm_filter) }"
  } >/run/bootswarm/state/lvmlocal.conf
  busybox mount --bind /run/bootswarm/state/lvmlocal.conf "$local_conf"
}

# The root needs the network for longer than any service: nobody takes the address away while the machine stops.
keep_network() {
  drop_in systemd-networkd.service 'KillSignal=SIGKILL'
  drop_in NetworkManager.service 'KillSignal=SIGKILL'
  drop_in networking.service 'ExecStop='
}

drop_in() {
  mkdir -p "/run/systemd/system/$1.d"
  printf '[Service]\n%s\n' "$2" >"/run/systemd/system/$1.d/bootswarm.conf"
}
