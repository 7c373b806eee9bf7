# The agent archive: found here, or fetched from whoever has it, and unpacked into memory of its own.
# shellcheck shell=sh

home=/run/bootswarm

unpack_agent() {
  [ -x "$home/bin/bootswarm" ] && return
  mkdir -p "$home"
  mountpoint_of_ours || busybox mount -t tmpfs -o mode=0755,size=75% bootswarm "$home" ||
    fail 'there is no memory for the agent' 'this machine needs 1 GiB' || return
  if [ -e /bootswarm/agent.tar.zst ]; then
    unpack /bootswarm/agent.tar.zst ||
      fail 'the agent in the initramfs cannot be unpacked' 'build it again'
    return
  fi
  # It stays there for the machines that are switched on next.
  mkdir -p "$home/netboot"
  fetch_archive "$home/netboot/agent.part" || return
  unpack "$home/netboot/agent.part" ||
    fail 'the agent cannot be unpacked' 'this machine needs 1 GiB of memory' || return
  mv "$home/netboot/agent.part" "$home/netboot/agent-$archive.tar.zst"
}

mountpoint_of_ours() { grep -q "^bootswarm $home " /proc/mounts; }

unpack() {
  say 'unpacking the agent'
  # Two processes that agree on success through a file: POSIX sh has no pipefail.
  rm -f "$home/unpacked"
  { zstd -q -d -c "$1" && : >"$home/unpacked"; } | tar -x -o -C "$home" || return
  [ -e "$home/unpacked" ] || return
  mv "$home"/bootswarm/* "$home/" || return
  rm -rf "$home/bootswarm" "$home/unpacked"
}

# From each of bootswarm.from= in turn; only what has the right hash counts.
fetch_archive() {
  if [ -e /etc/bootswarm/netboot.conf ]; then
    # shellcheck source=/dev/null
    . /etc/bootswarm/netboot.conf
  fi
  archive=${archive:-${BOOTSWARM_ARCHIVE_SHA256:-}}
  [ -n "$archive" ] && [ -n "$from" ] ||
    fail 'there is no agent in this initramfs and nothing says where it is' \
      'add bootswarm.from= and bootswarm.archive=, as bootswarm netboot does' || return
  fetch_end=$(($(now) + patience))
  while :; do
    for url in $(echo "$from" | sed 's/,/ /g'); do
      fetch_from "$url" "$1" && return
    done
    [ "$(now)" -lt "$fetch_end" ] || break
    sleep 2
  done
  fail "nobody has the agent archive agent-$archive.tar.zst: asked $from" \
    'look whether bootswarm netboot serve runs there, and whether it was built anew'
}

fetch_from() {
  url=$1/agent-$archive.tar.zst
  say "fetching the agent from $1"
  fetch "$url" "$2" || {
    say "no answer from $1"
    return 1
  }
  [ "$(sha256sum "$2" | cut -d' ' -f1)" = "$archive" ] && return
  say "what $1 sent is not the agent that was asked for"
  return 1
}

# busybox's wget has no time-out of its own: it is given up when nothing comes for a while.
fetch() {
  rm -f "$2"
  wget -q -O "$2" "$1" &
  fetcher=$!
  fetched='' heard=$(now)
  while kill -0 "$fetcher" 2>/dev/null; do
    sleep 0.2
    size=$(stat -c %s "$2" 2>/dev/null)
    if [ "$size" != "$fetched" ]; then
      fetched=$size heard=$(now)
    elif [ $(($(now) - heard)) -ge 10 ]; then
      kill "$fetcher"
    fi
  done
  wait "$fetcher"
}
