# With the root mounted, and before it starts.
# shellcheck shell=sh

# shellcheck source=bootstrap/first-stage/messages.sh
. /usr/lib/bootswarm/messages.sh
# shellcheck source=bootstrap/first-stage/disk.sh
. /usr/lib/bootswarm/disk.sh
# shellcheck source=bootstrap/first-stage/identity.sh
. /usr/lib/bootswarm/identity.sh

# prepare_root WHERE-IT-IS-MOUNTED. But for who the machine is, all of it lies in /run and is gone with the next boot.
prepare_root() {
  disk=$(cat /run/bootswarm/state/disk)
  filter_lvm "$1"
  keep_network
  be_patient
  make_identity "$1"
  add_ssh_key_unit "$1"
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

# What a service needs may still have to come: nobody is to be given up, or ended by its watchdog, because the root
# waits.
be_patient() {
  mkdir -p /run/systemd/system.conf.d
  printf '[Manager]\nDefaultTimeoutStartSec=15min\nDefaultDeviceTimeoutSec=15min\n' \
    >/run/systemd/system.conf.d/bootswarm.conf
  for service in journald udevd networkd logind resolved timesyncd; do
    drop_in "systemd-$service.service" 'WatchdogSec=0'
  done
}

# drop_in UNIT LINE: for a service of the root, until the next boot.
drop_in() {
  mkdir -p "/run/systemd/system/$1.d"
  file=/run/systemd/system/$1.d/bootswarm.conf
  [ -e "$file" ] || echo '[Service]' >"$file"
  echo "$2" >>"$file"
}
