# From power-on to a device that has the root.
# shellcheck shell=sh

# shellcheck source=bootstrap/first-stage/messages.sh
. /usr/lib/bootswarm/messages.sh
# shellcheck source=bootstrap/first-stage/arguments.sh
. /usr/lib/bootswarm/arguments.sh
# shellcheck source=bootstrap/first-stage/network.sh
. /usr/lib/bootswarm/network.sh
# shellcheck source=bootstrap/first-stage/disk.sh
. /usr/lib/bootswarm/disk.sh
# shellcheck source=bootstrap/first-stage/archive.sh
. /usr/lib/bootswarm/archive.sh
# shellcheck source=bootstrap/first-stage/agent.sh
. /usr/lib/bootswarm/agent.sh
# shellcheck source=bootstrap/first-stage/root.sh
. /usr/lib/bootswarm/root.sh

# Whoever sources this defines configure_network. Sets root_device.
start_machine() {
  root_device=''
  read_arguments
  check_arguments || return
  wake_cards
  choose_disk || return
  bring_up_network || return
  unpack_agent || return
  hide_disk
  prepare_home || return
  start_agent || return
  map_device || return
  find_root || return
  say "the root is $root_device"
}
