#!/bin/sh
# UUID=… HASH_SEED=… LABEL=… SIZE=… SOURCE_DATE_EPOCH=… tree-to-ext4.sh TREE OUTPUT.img
#
# Makes an ext4 image out of a directory: the same files give the same bytes, on any host. `mke2fs -d` of e2fsprogs 1.47.0
# does not: it takes the change times from stat and the order of the files from readdir. So the file system is made
# empty here and filled by debugfs, in the order of the sorted paths, with the clock standing still.
# Takes directories, files, hard links and symbolic links; anything else in the tree is an error.
set -eu
export LC_ALL=C

tree=$(readlink -f "$1")
output=$2
: "${UUID:?}" "${HASH_SEED:?}" "${LABEL:?}" "${SIZE:?}" "${SOURCE_DATE_EPOCH:?}"

fail() {
  echo "tree-to-ext4.sh: $1" >&2
  exit 1
}

scratch=$(mktemp -d "${TMPDIR:-/tmp}/tree-to-ext4.XXXXXX")
trap 'rm -rf "$scratch" "$output.partial"' EXIT
trap 'exit 1' HUP INT TERM

# Both tools read the clock from here, and no host's mke2fs.conf decides about features.
export E2FSPROGS_FAKE_TIME="$SOURCE_DATE_EPOCH"
export MKE2FS_CONFIG="$scratch/mke2fs.conf"
printf '[fs_types]\n ext4 = {\n  inode_size = 256\n }\n' >"$MKE2FS_CONFIG"

unusual=$(find "$tree" -mindepth 1 ! -type d ! -type f ! -type l -print -quit)
[ -z "$unusual" ] || fail "$unusual is neither a directory, a file nor a link"
unusual=$(find "$tree" \( -name '*["[:cntrl:]]*' -o -lname '*["[:cntrl:]]*' \) -print -quit)
[ -z "$unusual" ] || fail "$unusual has a quote or a control character in its name or target"

# Nothing is left for the first mount to initialise: a lazy one writes to the disk for minutes.
features=has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super
features=$features,large_file,huge_file,dir_nlink,extra_isize,metadata_csum
mke2fs -q -F -t ext4 -b 4096 -i 16384 -J size=64 -L "$LABEL" -U "$UUID" -O "none,$features" \
  -E "hash_seed=$HASH_SEED,lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=0:0" \
  "$scratch/image" "$SIZE" >"$scratch/said"

# One line a file, sorted by path, so that a directory comes before what is in it. Fields: path, type, mode, owner,
# group, modification time, what identifies a hard link, its count, target of a symbolic link.
(cd "$tree" && find . -mindepth 1 -printf '%P\t%y\t%m\t%U\t%G\t%Ts\t%D:%i\t%n\t%l\n') | sort >"$scratch/files"

awk -F '\t' -v tree="$tree" '
  function quoted(text) { return "\"" text "\"" }
  function set(field, value) { print "set_inode_field " quoted(name) " " field " " value }
  {
    path = "/" $1; kind = $2; linked = kind == "f" && $8 > 1
    name = path; sub(/.*\//, "", name)
    directory = substr(path, 1, length(path) - length(name))
    if (directory != current) { print "cd " quoted(directory); current = directory }

    if (linked && $7 in first) { print "ln " quoted(first[$7]) " " quoted(name); next }
    if (kind == "d") { type = "04"; print "mkdir " quoted(name) }
    if (kind == "l") { type = "012"; print "symlink " quoted(name) " " quoted($9) }
    if (kind == "f") { type = "010"; print "write " quoted(tree path) " " quoted(name) }

    set("mode", type sprintf("%04d", $3))
    set("mtime", "@" $6)
    if ($4) set("uid", $4)
    if ($5) set("gid", $5)
    if (linked) { first[$7] = path; set("links_count", $8) }
  }' "$scratch/files" >"$scratch/commands"

# debugfs exits 0 whatever happens; its complaints are all that stderr has beside the line with its version.
debugfs -w -f "$scratch/commands" "$scratch/image" >"$scratch/said" 2>"$scratch/complaints"
if complaints=$(grep -v '^debugfs [0-9.]* (' "$scratch/complaints"); then
  fail "debugfs could not fill $output: $(echo "$complaints" | head -n 3)"
fi
e2fsck -fn "$scratch/image" >"$scratch/said" 2>&1 || fail "e2fsck finds errors: $(tail -n 5 "$scratch/said")"

# Zeros that were written, such as the inode tables, become holes: nobody has to read them.
cp --sparse=always "$scratch/image" "$output.partial"
mv "$output.partial" "$output"
