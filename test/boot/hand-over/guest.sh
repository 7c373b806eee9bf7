#!/bin/bash
# In the guest, as its first process: disks under an agent, a writer on each, and hand-overs that are
# killed on the way. vdb has this, vdc and what follows are the target disks. Prints a line for each
# thing that is so; the host knows which lines have to come.
set -u
cd /mnt || exit 1
export NODE_COMPILE_CACHE=/run/cache NODE_NO_WARNINGS=1 PATH=$PATH:/mnt
image=/mnt/image

say() { echo "guest: $*"; }

until_exists() {
  for _ in $(seq 600); do
    [ -e "$1" ] && return
    sleep 0.1
  done
  say "no $1"
  cat /run/*/log
  end
}

end() {
  say the end
  sync
  echo o >/proc/sysrq-trigger
  sleep 1000
}

# The agent of a disk; its process id goes to a file. As the carrier does, one that ended before it answered
# is started again: on two emulated processors Node has crashed at its start, once in dozens of runs.
start_agent() {
  local disk=$1 run=/run/$1
  mkdir -p "$run"
  for _ in 1 2 3; do
    rm -f "$run/control"
    node /mnt/project/test/boot/hand-over/agent.ts "/dev/$disk" "$image" "$run" >>"$run/log" 2>&1 &
    echo $! >"$run/agent"
    answers "$run" && break
    say "the agent of $disk has ended, and is started again"
  done
  until_exists "$run/control"
  tail -n 1 "$run/log"
}

# Waits for the agent a while; false if it has ended.
answers() {
  for _ in $(seq 600); do
    [ -e "$1/control" ] && return
    kill -0 "$(cat "$1/agent")" 2>/dev/null || return 1
    sleep 0.1
  done
}

kill_agent() { kill -9 "$(cat "/run/$1/agent")"; }

# Agent, NBD, device-mapper, file system and writer of a disk. $2 is the number of the nbd device.
start_disk() {
  local disk=$1 nbd=/dev/nbd$2 run=/run/$1
  start_agent "$disk"
  node /mnt/project/test/boot/hand-over/attach.ts "$nbd" "$run/nbd" >"$run/attach" 2>&1 &
  for _ in $(seq 600); do
    grep -q attached "$run/attach" && break
    sleep 0.1
  done
  dmsetup create "$disk" --noudevsync --uuid "BOOTSWARM-$disk" \
    --table "0 $(($(stat -c %s $image) / 512)) linear $nbd 0"
  mkdir -p "$run/mnt"
  mount -t ext4 -o noatime "/dev/$(mapped "$disk")" "$run/mnt" || end
  touch "$run/go"
  write_files "$run" &
  echo $! >"$run/writer"
}

# Nobody makes names under /dev/mapper here.
mapped() { echo "dm-$(dmsetup info -c --noheadings -o minor "$1")"; }

# Whatever is listed in sums has been synced with its file.
write_files() {
  local run=$1 to=$1/mnt number
  # After a loss of power it goes on behind what is there.
  number=$(wc -l 2>/dev/null <"$to/sums" || echo 0)
  while [ ! -e "$run/stop" ]; do
    if [ -e "$run/go" ]; then
      number=$((number + 1))
      head -c $((RANDOM * 2 + 1)) /dev/urandom >"$to/f$number"
      sync "$to/f$number"
      (cd "$to" && sha256sum "f$number" >>sums && sync sums)
      echo $number >"$run/written"
    else
      touch "$run/paused"
      sleep 0.1
    fi
  done
}

pause_writer() {
  rm -f "/run/$1/go" "/run/$1/paused"
  until_exists "/run/$1/paused"
  sync -f "/run/$1/mnt"
}

written() { cat "/run/$1/written" 2>/dev/null || echo 0; }

# The writer goes on, for a few files at least.
writer_goes_on() {
  local from
  from=$(written "$1")
  for _ in $(seq 300); do
    [ "$(written "$1")" -gt $((from + 3)) ] && return 0
    sleep 0.1
  done
  say "the writer of $1 hangs"
  return 1
}

hand_over() {
  local disk=$1
  shift
  node /mnt/project/bootstrap/hand-over.ts --control "unix:/run/$disk/control" --disk "/dev/$disk" \
    --name "$disk" "$@"
}

is_on_raw_disk() {
  local number
  number=$(cat "/sys/block/$1/dev")
  [ "$(dmsetup table "$1" | cut -d' ' -f3-5)" = "linear $number 0" ]
}

# Everything that was written is there, read from the disk and not from memory.
check_disk() {
  local disk=$1 to=/run/$1/mnt
  touch "/run/$disk/stop"
  wait "$(cat "/run/$disk/writer")"
  sync -f "$to"
  echo 3 >/proc/sys/vm/drop_caches
  if (cd "$to" && sha256sum --quiet -c sums); then
    say "$disk has $(wc -l <"$to/sums") files, all as they were written"
  fi
  umount "$to"
  dmsetup remove --noudevsync "$disk"
}

# As a supervisor would: a helper that died is run again.
finish() {
  local disk=$1
  for _ in 1 2 3; do
    hand_over "$disk" && is_on_raw_disk "$disk" && break
  done
  is_on_raw_disk "$disk" || end
  say "$disk is handed over"
  kill_agent "$disk"
  touch "/run/$disk/go"
  writer_goes_on "$disk" && say "the writer of $disk goes on without an agent"
}

mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
modprobe nbd max_part=0 nbds_max=16
modprobe dm-mod

for scenario in "$@"; do
  disk=${scenario%%:*}
  what=${scenario#*:}
  number=$(($(printf '%d' "'${disk:2:1}") - 99))
  case $what in
    # The helper is killed after each step, and run again.
    helper)
      start_disk "$disk" $number
      writer_goes_on "$disk"
      for step in prepare load suspend seal resume; do
        hand_over "$disk" --stop-after $step
        say "$disk: the helper was killed after $step"
      done
      finish "$disk"
      start_agent "$disk"
      kill_agent "$disk"
      check_disk "$disk"
      ;;
    # The helper and the agent are killed after a step; both are started again.
    both-*)
      step=${what#both-}
      start_disk "$disk" $number
      writer_goes_on "$disk"
      # Before everything is held back, what is under way would be lost with the agent.
      case $step in prepare | load) pause_writer "$disk" ;; esac
      hand_over "$disk" --stop-after "$step"
      kill_agent "$disk"
      start_agent "$disk"
      finish "$disk"
      check_disk "$disk"
      ;;
    # Power is lost after a step: the host takes it away.
    power-*)
      start_disk "$disk" $number
      writer_goes_on "$disk"
      hand_over "$disk" --stop-after "${what#power-}"
      [ "${what#power-}" = resume ] && writer_goes_on "$disk"
      say "$disk: cut the power"
      sleep 1000
      ;;
    # After that: the machine goes on where it was.
    resume)
      start_disk "$disk" $number
      writer_goes_on "$disk"
      finish "$disk"
      check_disk "$disk"
      ;;
    # Or, since it was handed over, without any agent.
    alone)
      mkdir -p "/run/$disk/mnt"
      mount -t ext4 "/dev/$disk" "/run/$disk/mnt"
      (cd "/run/$disk/mnt" && sha256sum --quiet -c sums) &&
        say "$disk has $(wc -l <"/run/$disk/mnt/sums") files, all as they were written"
      umount "/run/$disk/mnt"
      ;;
  esac
done
end
