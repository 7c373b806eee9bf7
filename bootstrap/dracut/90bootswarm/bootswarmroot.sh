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

network_is_up || exit 0
until start_machine; do
  stop_agent
  emergency_shell -n bootswarm "bootswarm: this shell is for looking around; 'exit' tries again"
done
ln -sf "$root_device" /dev/root
printf '[ -e "%s/proc" ] || mount -o ro "%s" "%s"\n' "$NEWROOT" "$root_device" "$NEWROOT" >"$hookdir/mount/50-bootswarm.sh"
