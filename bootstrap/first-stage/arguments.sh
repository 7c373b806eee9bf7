# The kernel's arguments, as bootstrap/README.md lists them.
# shellcheck shell=sh

# Sets ticket, image, disk, writes, overlay, consent, archive, from, machine_name, patience; is_wanted where any is given.
# What is written as the agent's own file (netboot.conf) counts less than an argument.
read_arguments() {
  ticket='' image='' disk='' writes=keep overlay='' consent='' archive='' from='' machine_name='' patience=120
  vlan='' boot_root='' is_wanted='' unknown=''
  for word in $(cat "${cmdline:-/proc/cmdline}"); do
    value=${word#*=}
    case $word in
      bootswarm.ticket=*) ticket=$value ;;
      bootswarm.image=*) image=$value ;;
      bootswarm.disk=*) disk=$value ;;
      bootswarm.writes=*) writes=$value ;;
      bootswarm.overlay=*) overlay=$value ;;
      bootswarm.consent=*) consent=$value ;;
      bootswarm.archive=*) archive=$value ;;
      bootswarm.from=*) from=$value ;;
      bootswarm.name=*) machine_name=$value ;;
      bootswarm.patience=*) patience=$value ;;
      bootswarm.vlan=*) vlan=$value ;;
      # The image's own affair: log-in on the console.
      bootswarm.console=*) continue ;;
      bootswarm.*) unknown="$unknown $word" ;;
      root=*)
        boot_root=$value
        continue
        ;;
      *) continue ;;
    esac
    is_wanted=yes
  done
}

check_arguments() {
  if [ -n "$unknown" ]; then
    say "unknown arguments on the kernel's command line, without effect:$unknown"
  fi
  look='add it to the kernel arguments, as the boot script that bootswarm netboot serves has it'
  [ -n "$ticket" ] || fail 'there is no bootswarm.ticket=' "$look" || return
  [ -n "$image" ] || fail 'there is no bootswarm.image=' "$look" || return
  case $writes in
    keep | discard) ;;
    *) fail "bootswarm.writes=$writes is neither keep nor discard" 'write one of them' || return ;;
  esac
  case $overlay in
    '') ;;
    [1-9]*[MG])
      case ${overlay%[MG]} in *[!0-9]*) refuse_overlay || return ;; esac
      ;;
    *) refuse_overlay || return ;;
  esac
  case $consent in
    '' | wipe) ;;
    *) fail "bootswarm.consent=$consent is not wipe" 'write wipe to give the disk away' || return ;;
  esac
  case $patience in
    '' | *[!0-9]*) fail "bootswarm.patience=$patience is no number of seconds" 'write one' || return ;;
  esac
}

refuse_overlay() { fail "bootswarm.overlay=$overlay is no size" 'write a number and M or G, such as 512M'; }
