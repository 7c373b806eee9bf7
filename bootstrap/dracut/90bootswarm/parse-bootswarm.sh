#!/bin/sh
# With an argument of ours dracut brings up the network, by whatever it has for that, and then runs /sbin/bootswarmroot. It
# is asked for whenever udev has come to rest: of dracut's ways to a network not all tell when they are done.

# dracut reads root and rootok, and sets hookdir.
# shellcheck disable=SC2154

# shellcheck source=bootstrap/first-stage/start.sh
. /usr/lib/bootswarm/start.sh

read_arguments
if [ -n "$is_wanted" ]; then
  # shellcheck disable=SC2034
  root=block:/dev/root rootok=1
  # dracut gives up after as many seconds; who waits for what says so earlier.
  case $patience in '' | *[!0-9]*) patience=120 ;; esac
  echo "rd.neednet=1 rd.retry=$((patience * 2))" >/etc/cmdline.d/bootswarm.conf
  case " $(cat /proc/cmdline) " in
    *' ip='*) ;;
    *) echo 'ip=dhcp' >>/etc/cmdline.d/bootswarm.conf ;;
  esac
  echo '[ -e /dev/root ] || /sbin/bootswarmroot' >"$hookdir/initqueue/settled/50-bootswarm.sh"
  # It has a VLAN's name before the colon, where bootswarm.vlan= has its number.
  # shellcheck disable=SC2154
  case $vlan in *:*) echo "vlan=${vlan#*:}.${vlan%%:*}:${vlan#*:}" >>/etc/cmdline.d/bootswarm.conf ;; esac
  echo '[ -e /dev/root ]' >"$hookdir/initqueue/finished/50-bootswarm.sh"
fi
