# The agent, in a place of its own that stays when the initramfs goes and the root comes.
# shellcheck shell=sh

# $home becomes a small root of its own: with the libraries that the hook listed, with a shell, and seen by nobody
# else with /dev, /proc and /sys in it, so that no shutdown takes them away.
prepare_home() {
  carry_all /usr/lib/bootswarm/carried || return
  if [ "$writes" = discard ]; then carry_all /usr/lib/bootswarm/carried-to-discard || return; fi
  mkdir -p "$home/bin" "$home/dev" "$home/proc" "$home/sys" "$home/run" "$home/tmp" "$home/etc" "$home/state"
  for program in sh cat cp kill sleep stat mkfifo readlink dirname mount rm mv; do
    [ -e "$home/bin/$program" ] || ln -s busybox "$home/bin/$program"
  done
  # The same paths lead to the same files from inside and from outside.
  [ -e "$home/run/bootswarm" ] || ln -s / "$home/run/bootswarm"
  cp /usr/lib/bootswarm/carrier.sh "$home/bin/carrier"
  for name in ticket image disk writes consent; do
    eval "printf '%s' \"\$$name\"" >"$home/state/$name"
  done
  printf '%s' "${machine_name:-$(name_by_dhcp)}" >"$home/state/host-name"
  cp "$home/state/host-name" "$home/state/name"
  [ -s "$home/state/name" ] || name_by_card >"$home/state/name"
  chmod 0700 "$home/state"
  name_servers >"$home/etc/resolv.conf"
}

carry_all() {
  while read -r file; do
    [ -e "$home$file" ] && continue
    mkdir -p "$home${file%/*}"
    cp -L "$file" "$home$file" || fail 'there is no memory for the agent' 'this machine needs 1 GiB' || return
  done <"$1"
}

name_servers() {
  for conf in /run/net-*.conf; do
    [ -e "$conf" ] || continue
    sed -n -e '/0\.0\.0\.0/d' -e "s/^IPV4DNS[01]='\{0,1\}\([0-9.]*\)'\{0,1\}$/nameserver \1/p" "$conf"
  done
}

# Comes back when the device can be used, or the disk turns out to have been handed over in an earlier boot.
start_agent() {
  modprobe -q nbd nbds_max=1 max_part=0
  [ -e /sys/block/nbd0 ] ||
    fail 'this kernel has no nbd' 'put the module nbd into the initramfs' || return
  rm -f "$home"/state/said-* "$home"/state/tags-* "$home/state/error" "$home/state/handed-over"
  say "starting the agent for $image on $disk"
  # shellcheck disable=SC2016
  busybox unshare -m busybox sh -c '
    cd "$0" || exit 1
    busybox mount -t devtmpfs dev dev
    busybox mount -t proc proc proc
    busybox mount -t sysfs sys sys
    echo -1000 >/proc/self/oom_score_adj
    exec busybox chroot "$0" bin/launch /bin/busybox @bootswarm/sh /bin/carrier
  ' "$home" </dev/null >>"$home/state/carrier.log" 2>&1 &
  carrier=$!
  until [ -e "$home/state/said-attached" ]; do
    if [ -e "$home/state/error" ] || ! kill -0 "$carrier" 2>/dev/null; then
      explain_agent
      return 1
    fi
    sleep 0.3
  done
}

stop_agent() {
  [ -n "${carrier:-}" ] || return
  kill "$carrier" 2>/dev/null
  wait_until 15 carrier_has_ended || kill -9 "$carrier"
  carrier=''
}

carrier_has_ended() { ! kill -0 "$carrier" 2>/dev/null; }

explain_agent() {
  code=$(sed -n 's/.*"code":"\([A-Z_]*\)".*/\1/p' "$home/state/error" 2>/dev/null)
  message=$(sed -n 's/.*"message":"\(.*\)".*/\1/p' "$home/state/error" 2>/dev/null)
  case $code in
    ERR_TARGET_FOREIGN) advice="boot with bootswarm.consent=wipe if what is on $disk may go" ;;
    ERR_TICKET_* | ERR_PEER_UNTRUSTED) advice='make a new ticket: bootswarm ticket --store DIR, and put it into the boot script' ;;
    ERR_IMAGE_*) advice='see bootswarm image list --store DIR, and put a name of it into the boot script' ;;
    ERR_TARGET_*) advice='use a larger or a working disk, or name another by bootswarm.disk=' ;;
    *) advice='mend that and try again' ;;
  esac
  [ -n "$message" ] || message="the agent ended: $(tail -n 3 "$home/state/carrier.log" 2>/dev/null)"
  fail "$message" "$advice"
}
