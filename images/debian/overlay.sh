#!/bin/sh
# overlay.sh FROM ROOT: puts the files under FROM into ROOT, at the same paths; programs stay programs.
set -eu

from=$1 root=$2
umask 022
(cd "$from" && find . -type f) | while IFS= read -r file; do
  mode=0644
  if [ -x "$from/$file" ]; then mode=0755; fi
  install -D -m "$mode" "$from/$file" "$root/$file"
done
