# The network, by what the initramfs has for it: ip= and BOOTIF= as it knows them.
# shellcheck shell=sh

# configure_network is the initramfs's own way and may take minutes; it leaves /run/net-DEVICE.conf.
bring_up_network() {
  network_is_up && return
  ip_argument_is_none && return
  if [ -n "$vlan" ]; then add_vlan || return; fi
  wake_cards
  wait_until 5 a_cable_is_in
  say 'asking for an address'
  while :; do configure_network; done >/run/bootswarm-network.log 2>&1 &
  network_job=$!
  wait_until "$patience" network_is_up
  was_up=$?
  kill "$network_job" 2>/dev/null
  wait "$network_job" 2>/dev/null
  [ "$was_up" = 0 ] || no_network
}

no_network() {
  cards=$(cards_found)
  if [ -z "$cards" ]; then
    fail 'there is no network card that this kernel has a driver for' \
      'put its driver into the initramfs, or use another card'
  else
    fail "nobody gave this machine an address within $patience seconds (tried: $cards)" \
      'look at the cable and at the DHCP server, or give one by ip='
  fi
}

# Measured: klibc's ipconfig on a card that it has to wake first loses its first question, and says so after 10 s.
wake_cards() {
  for card in /sys/class/net/*; do
    [ -e "$card/device" ] && busybox ip link set "${card##*/}" up
  done
}

a_cable_is_in() {
  for card in /sys/class/net/*; do
    [ -e "$card/device" ] && [ "$(cat "$card/carrier" 2>/dev/null)" = 1 ] && return
  done
  return 1
}

network_is_up() {
  for conf in /run/net-*.conf; do
    [ -e "$conf" ] && return 0
  done
  return 1
}

ip_argument_is_none() {
  case " $(cat /proc/cmdline) " in *' ip=none '* | *' ip=off '*) return 0 ;; esac
  return 1
}

cards_found() {
  for card in /sys/class/net/*; do
    [ -e "$card/device" ] || continue
    echo "${card##*/} $(cat "$card/address")"
  done | sed -e ':a' -e N -e '$!ba' -e 's/\n/, /g'
}

# bootswarm.vlan=ID:DEVICE makes DEVICE.ID, which ip= may then name.
add_vlan() {
  vlan_id=${vlan%%:*} vlan_device=${vlan#*:}
  modprobe -q 8021q
  wait_until "$patience" test -e "/sys/class/net/$vlan_device" ||
    fail "there is no $vlan_device for bootswarm.vlan=$vlan" "name one of: $(cards_found)" || return
  busybox ip link set "$vlan_device" up
  busybox ip link add link "$vlan_device" name "$vlan_device.$vlan_id" type vlan id "$vlan_id" ||
    fail "cannot make the VLAN bootswarm.vlan=$vlan" 'write ID:DEVICE, such as 5:eth0'
}

# What DHCP called the machine; empty if it did not.
name_by_dhcp() {
  for conf in /run/net-*.conf; do
    [ -e "$conf" ] || continue
    sed -n "s/^HOSTNAME='\{0,1\}\([A-Za-z0-9.-]*\)'\{0,1\}$/\1/p" "$conf"
  done | head -n 1
}

name_by_card() {
  for card in /sys/class/net/*; do
    [ -e "$card/device" ] || continue
    echo "machine-$(sed 's/://g' "$card/address")"
    return
  done
  echo machine
}
