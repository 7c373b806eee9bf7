#!/bin/sh
# With an argument of ours dracut waits for the network, and then runs /sbin/bootswarmroot.

# shellcheck source=bootstrap/first-stage/start.sh
. /usr/lib/bootswarm/start.sh

read_arguments
if [ -n "$is_wanted" ]; then
  # dracut reads these.
  # shellcheck disable=SC2034
  root=block:/dev/root netroot=bootswarm rootok=1
  echo 'rd.neednet=1' >/etc/cmdline.d/bootswarm.conf
  case " $(cat /proc/cmdline) " in
    *' ip='*) ;;
    *) echo 'ip=dhcp' >>/etc/cmdline.d/bootswarm.conf ;;
  esac
fi
