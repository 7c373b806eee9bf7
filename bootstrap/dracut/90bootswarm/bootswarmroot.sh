#!/bin/sh
# dracut calls this again and again until there is a root.

# dracut sets hookdir and NEWROOT.
# shellcheck disable=SC2154

PATH=$PATH:/usr/lib/bootswarm/bin
# shellcheck source=/dev/null
. /lib/dracut-lib.sh
# shellcheck source=bootstrap/first-stage/start.sh
. /usr/lib/bootswarm/start.sh

network_is_up() { ip -o address show scope global -tentative | grep -q .; }

# dracut brings up the network, some of its ways between two calls of this: they must go on, but not for ever.
is_within_patience() {
  mkdir -p /run/bootswarm-dracut
  [ -e /run/bootswarm-dracut/asked-first ] || now >/run/bootswarm-dracut/asked-first
  read_arguments
  check_arguments >/dev/null 2>&1
  [ $(($(now) - $(cat /run/bootswarm-dracut/asked-first))) -lt "$patience" ]
}

patience_now=0
bring_up_network() { wait_until "$patience_now" network_is_up || no_network; }

name_servers() { if [ -e /etc/resolv.conf ]; then sed -n '/^nameserver /p' /etc/resolv.conf; fi; }

if ! network_is_up && is_within_patience; then exit 0; fi
until start_machine; do
  stop_agent
  emergency_shell -n bootswarm "bootswarm: this shell is for looking around; 'exit' tries again"
  patience_now=$patience
done
ln -sf "$root_device" /dev/root
printf '[ -e "%s/proc" ] || mount -o ro "%s" "%s"\n' "$NEWROOT" "$root_device" "$NEWROOT" >"$hookdir/mount/50-bootswarm.sh"
