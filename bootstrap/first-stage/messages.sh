# Sourced by what runs on a machine before it has a root.
# shellcheck shell=sh

# To the kernel's log, where whoever looks at the machine later finds it, and to the console, even of a quiet kernel.
say() {
  echo "<5>bootswarm: $*" >/dev/kmsg
  read -r shown _ </proc/sys/kernel/printk
  [ "$shown" -gt 5 ] || echo "bootswarm: $*" >/dev/console
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
  # Not to the console once more, in the middle of that.
  echo "<7>bootswarm: $1; $2" >/dev/kmsg
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
