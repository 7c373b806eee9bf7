#!/bin/sh
# rootfs.sh RECIPE_DIRECTORY OUTPUT_DIRECTORY: makes rootfs.tar and packages.txt in the second, out of Debian's packages (the
# only step that needs the network). The same recipe and the same versions of the packages give the same bytes.
set -eu

here=$(dirname "$(readlink -f "$0")")
RECIPE=$(readlink -f "$1")
directory=$(readlink -f "$2")
# shellcheck source=images/debian-12/recipe.env
. "$RECIPE/recipe.env"
export RECIPE SOURCE_DATE_EPOCH PACKAGES_LIST="$directory/packages.txt"

# This host's own mirror, in apt's one-line form. apt knows the targets of its sources only after an update.
list_sources() {
  apt-get indextargets --format "\$(ORIGIN) \$(RELEASE) \$(COMPONENT) \$(REPO_URI)" 'Created-By: Packages' |
    awk -v suite="$SUITE" -v key=/usr/share/keyrings/debian-archive-keyring.gpg '
      $1 == "Debian" && $3 == "main" && ($2 == suite || $2 == suite "-updates" || $2 == suite "-security") {
        print "deb [signed-by=" key "] " $4 " " $2 " " $3
      }' | sort -u
}

# How this host reaches its mirror: proxies, certificates, retries, checks of dates.
list_apt_options() {
  apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries|ForceIPv)' || true
}

sources=$directory/sources.list
options=$directory/apt.conf
list_sources >"$sources"
if [ ! -s "$sources" ]; then
  apt-get update --quiet=2
  list_sources >"$sources"
fi
list_apt_options >"$options"

# On a host that is no Debian 12 the list is empty, and mmdebstrap takes the mirror that it knows for the suite.
set -- "$SUITE" "$directory/rootfs.tar"
if [ -s "$sources" ]; then set -- "$@" "$sources"; fi

# The initramfs is made when the image is: what it holds of bootswarm changes more often than Debian does.
export INITRD=No

mmdebstrap --quiet --mode=root --variant=minbase --skip=output/dev --skip=cleanup/apt \
  --include="$PACKAGES" --aptopt="$options" \
  --customize-hook="$here/customize.sh" "$@"

rm "$sources" "$options"
