#!/bin/sh
# Starts the agent, starts it again when it ends, and hands the disk over when it is complete.
# It lives in memory, in a root of its own at /run/bootswarm, from before there is a root until power-off.
set -u

export PATH=/bin:/usr/bin:/usr/sbin
restart_seconds=2
log_bytes_max=262144

read_state() { cat "/state/$1"; }
tell_console() { echo "<3>bootswarm: $*" >/dev/kmsg; }

disk=$(read_state disk)
writes=$(read_state writes)
# The one linear device: under the root, or the root itself.
case $writes in discard) linear=bootswarm-image ;; *) linear=bootswarm ;; esac

# Everything that is started here writes its events to a pipe of its own, so that its process id is known.
keep_agent() {
  while :; do
    set -- --ticket "$(read_state ticket)" --image "$(read_state image)" --disk "$disk" --name "$(read_state name)"
    set -- "$@" --nbd unix:/run/bootswarm/nbd --device /dev/nbd0
    set -- "$@" --control unix:/run/bootswarm/control --writes "$writes"
    if [ -d /netboot ]; then set -- "$@" --netboot-cache /netboot; fi
    if [ "$(read_state consent)" = wipe ] && [ ! -e /state/said-ready ]; then set -- "$@" --force; fi
    /bin/bootswarm agent "$@" --carries-root --json >/state/agent.events &
    echo $! >/state/agent.pid
    hear_agent </state/agent.events
    # Before the machine had its disk it is for the first stage to say what is wrong.
    [ -e /state/said-attached ] || kill $$
    sleep "$restart_seconds"
  done
}

# start_aside NAME FUNCTION: as nobody's child. Whoever listens to the agent does not look after children, and one
# that has ended and is not waited for has lost the name that begins with @: systemd then waits for it at power-off.
start_aside() {
  (
    "$2" &
    echo $! >"/state/$1.pid"
  )
}

# What the agent says, a JSON object a line.
hear_agent() {
  while read -r line; do
    case $line in '{"event":"ready"'*) echo "$line" >/state/ready ;; esac
    case $line in
      '{"event":"ready"'*'"handedOver":true'*)
        # An earlier boot got that far: nothing is attached, and peers are served. An agent that was started again
        # in the middle of a hand-over says so as well, and that hand-over goes on.
        if [ ! -e /state/said-attached ]; then
          : >/state/handed-over
          : >/state/said-attached
        fi
        ;;
      '{"event":"ready"'*) : >/state/said-ready ;;
      '{"event":"attached"'*) : >/state/said-attached ;;
      '{"event":"progress"'*) echo "$line" >/state/progress ;;
      '{"event":"unreachable"'*) tell_console 'no seed answers; still trying. Is it up, and is the cable in?' ;;
      '{"event":"starved"'*)
        tell_console 'this machine waits: nobody can deliver what it reads. It goes on when a seed or a peer is back'
        ;;
      '{"event":"fed"'*) tell_console 'this machine goes on: what it waited for is here' ;;
      '{"event":"complete"'*)
        tell_console 'the disk is complete and verified'
        [ -e /state/said-complete ] || start_aside hand-over hand_over
        echo "$line" >/state/said-complete
        ;;
      '{"event":"error"'*) echo "$line" >/state/error ;;
    esac
  done
}

# Until it has worked. Afterwards nothing holds the NBD device any more.
hand_over() {
  until [ -e /state/handed-over ]; do
    if [ -e /state/said-attached ] &&
      /bin/node /lib/hand-over.cjs --control unix:/run/bootswarm/control --disk "$disk" --name "$linear"; then
      : >/state/handed-over
      tell_console 'this machine uses its own disk from now on and needs nobody'
      return
    fi
    sleep 10
  done
}

# What is said beside the events lies in memory: the last of it is enough.
keep_log_short() {
  while :; do
    sleep 60
    [ "$(stat -c %s /state/carrier.log)" -le "$log_bytes_max" ] && continue
    # Those who write to it have it open for appending.
    cp /state/carrier.log /state/carrier.log.1
    : >/state/carrier.log
  done
}

# Where writes are discarded there is no room for more than a part of the memory. The kernel then ends the whole device.
watch_overlay() {
  warned=''
  while sleep 5; do
    # START LENGTH snapshot USED/ALL OF-ITS-OWN, in sectors; or START LENGTH snapshot Invalid.
    # shellcheck disable=SC2046
    set -- $(dmsetup status bootswarm 2>/dev/null)
    case ${4:-} in
      Invalid | Overflow)
        tell_console 'the memory for what this machine writes is full: it must be started again (bootswarm.overlay= gives more)'
        return
        ;;
      */*)
        if [ -z "$warned" ] && [ $((${4%/*} * 5)) -gt $((${4#*/} * 4)) ]; then
          warned=yes
          tell_console 'four fifths of the memory for what this machine writes are used; when it is full the machine stops working'
        fi
        ;;
    esac
  done
}

# Those first who would start others again.
end() {
  for program in keeper-of-log keeper-of-overlay keeper-of-agent hand-over agent; do
    [ -e "/state/$program.pid" ] && kill "$(read_state "$program.pid")" 2>/dev/null
  done
  exit 0
}
trap end TERM INT

rm -f /state/*.pid /state/*.events
mkfifo /state/agent.events
keep_log_short &
echo $! >/state/keeper-of-log.pid
if [ "$writes" = discard ]; then
  watch_overlay &
  echo $! >/state/keeper-of-overlay.pid
fi
keep_agent &
echo $! >/state/keeper-of-agent.pid
wait $!
