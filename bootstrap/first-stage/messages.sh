# Sourced by what runs on a machine before it has a root.
# shellcheck shell=sh

# To the console, and for whoever looks at the machine later, even when the kernel is told to be quiet.
say() {
  echo "bootswarm: $*" >/dev/console
  echo "<6>bootswarm: $*" >/dev/kmsg
}

# fail WHAT WHAT-TO-DO: says both. Whoever calls it gives up.
fail() {
  failure=$1
  {
    echo
    echo "bootswarm: CANNOT START THIS MACHINE: $1"
    echo "bootswarm: WHAT TO DO: $2"
    echo
  } >/dev/console
  echo "<3>bootswarm: $1; $2" >/dev/kmsg
  return 1
}

now() { cut -d. -f1 /proc/uptime; }

# wait_until SECONDS COMMAND…: until the command succeeds.
wait_until() {
  wait_end=$(($(now) + $1))
  shift
  until "$@"; do
    [ "$(now)" -lt "$wait_end" ] || return 1
    sleep 0.2
  done
}
