#!/bin/sh
# With the root mounted, and before it starts.

if [ -e /run/bootswarm/state/said-attached ]; then
  PATH=$PATH:/usr/lib/bootswarm/bin
  # shellcheck source=bootstrap/first-stage/into-root.sh
  . /usr/lib/bootswarm/into-root.sh
  prepare_root "$NEWROOT"
fi
