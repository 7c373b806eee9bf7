#!/bin/bash
# Puts into dracut's initramfs what a machine needs to get its root from the swarm; see bootstrap/README.md.

# dracut sets hookdir, initdir, moddir and NEWROOT.
# shellcheck disable=SC2154

first_stage=/usr/share/bootswarm/first-stage

check() {
  require_binaries busybox zstd dmsetup partx blkid || return 1
  [ -d "$first_stage" ] || return 1
  # Only where it is asked for: dracut --add bootswarm.
  return 255
}

depends() {
  echo dm network
  if command -v lvm >/dev/null; then echo lvm; fi
}

installkernel() {
  instmods nbd dm-mod dm-snapshot brd 8021q
}

install() {
  inst_multiple busybox zstd dmsetup partx blkid ip
  inst_multiple -o kpartx lvm
  mkdir -p "$initdir/usr/lib/bootswarm/bin"
  cp "$first_stage"/*.sh "$initdir/usr/lib/bootswarm/"
  for applet in cat chmod cp cut grep head ln mkdir mv printf readlink rm sed sha256sum sleep stat sync tail tar tr wget; do
    ln -s "$(command -v busybox)" "$initdir/usr/lib/bootswarm/bin/$applet"
  done
  carry_libraries || return
  inst_hook cmdline 90 "$moddir/parse-bootswarm.sh"
  inst_hook pre-pivot 50 "$moddir/into-root.sh"
  inst_script "$moddir/bootswarmroot.sh" /sbin/bootswarmroot
}

# What the agent's Node is linked with goes with it into a place of its own.
carry_libraries() {
  local path
  for name in libstdc++.so.6 libgcc_s.so.1 libm.so.6 libc.so.6 libdl.so.2 libpthread.so.0 libresolv.so.2; do
    path=$(ldconfig -p | sed -n "s/^[[:space:]]*$name (libc6,\(x86-64\|AArch64\).*) => //p" | head -n 1)
    if [ -z "$path" ]; then
      dfatal "bootswarm: there is no $name for the agent"
      return 1
    fi
    carry_file "$path"
  done
  for path in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1; do
    if [ -e "$path" ]; then carry_file "$path"; fi
  done
  echo /bin/busybox >>"$initdir/usr/lib/bootswarm/carried"
  path=$(command -v dmsetup)
  {
    echo "$path"
    ldd "$path" | sed -n 's/.*[[:space:]]\(\/[^ ]*\) (0x.*/\1/p'
  } >"$initdir/usr/lib/bootswarm/carried-to-discard"
}

carry_file() {
  inst "$1"
  echo "$1" >>"$initdir/usr/lib/bootswarm/carried"
}
