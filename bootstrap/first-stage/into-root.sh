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
  keep_network "$1"
  keep_agent_mounted
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
  keep_address "$1"
  hand_cards_over "$1"
}

# To a DHCP server systemd-networkd is another client than the network card's ROM was, and gets another address: every
# connection of the agent would be cut in the middle of the boot. By the card's address it is the same client.
keep_address() {
  for file in "$1"/etc/systemd/network/*.network "$1"/run/systemd/network/*.network /run/systemd/network/*.network \
    "$1"/usr/lib/systemd/network/*.network "$1"/lib/systemd/network/*.network; do
    grep -q -i '^ *DHCP *= *\(yes\|true\|1\|on\|both\|ipv4\|v4\) *$' "$file" 2>/dev/null || continue
    mkdir -p "/run/systemd/network/${file##*/}.d"
    printf '[Network]\nKeepConfiguration=yes\n[DHCPv4]\nClientIdentifier=mac\n' \
      >"/run/systemd/network/${file##*/}.d/bootswarm.conf"
  done
}

# NetworkManager leaves a card alone that has an address already: nobody would renew the lease, nor ask for name servers. It is told
# what it tells itself when it starts again, which connection the card has: then it asks DHCP, and the address stays meanwhile.
hand_cards_over() {
  [ -x "$1/usr/sbin/NetworkManager" ] || return 0
  for conf in /run/net-*.conf; do
    grep -q "^PROTO='\{0,1\}dhcp" "$conf" 2>/dev/null || continue
    card=$(sed -n "s/^DEVICE='\{0,1\}\([^']*\)'\{0,1\}$/\1/p" "$conf")
    [ -e "/sys/class/net/$card/device" ] || continue
    connection=$(connection_of_root "$1" "$card")
    if [ -z "$connection" ]; then
      connection=$(cat /proc/sys/kernel/random/uuid)
      write_connection "$connection" "$card"
    fi
    mkdir -p /run/NetworkManager/devices
    printf '[device]\nmanaged=true\nconnection-uuid=%s\n' "$connection" \
      >"/run/NetworkManager/devices/$(cat "/sys/class/net/$card/ifindex")"
  done
}

# What the image has for every card, or for this one.
connection_of_root() {
  for file in "$1"/etc/NetworkManager/system-connections/*; do
    grep -q -E '^type=(ethernet|802-3-ethernet)$' "$file" 2>/dev/null || continue
    ! grep -q '^interface-name=' "$file" || grep -q -x "interface-name=$2" "$file" || continue
    sed -n 's/^uuid=//p' "$file" | head -n 1
    return
  done
}

write_connection() {
  mkdir -p /run/NetworkManager/system-connections
  file=/run/NetworkManager/system-connections/bootswarm-$2.nmconnection
  (
    umask 077
    printf '[connection]\nid=%s\nuuid=%s\ntype=ethernet\ninterface-name=%s\n' "$2" "$1" "$2" >"$file"
    printf '[ipv4]\nmethod=auto\ndhcp-client-id=mac\n[ipv6]\nmethod=auto\n' >>"$file"
  )
}

# systemd would try to unmount it before anything else has ended, and say that it failed.
keep_agent_mounted() {
  mkdir -p /run/systemd/system/run-bootswarm.mount.d
  printf '[Unit]\nDefaultDependencies=no\n' >/run/systemd/system/run-bootswarm.mount.d/bootswarm.conf
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
