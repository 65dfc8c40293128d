#!/bin/bash
# Runs systemd-nspawn on an overlay, and leaves nothing behind.
#
#   boot.sh LAYERS DIR ARGUMENT...
#
# LAYERS are the overlay's lower directories (first wins, joined by colons); changes are kept in
# DIR/upper. The arguments go to systemd-nspawn. Everything runs in a mount and a pid namespace of
# its own, so the end of this script, however it comes, ends every process and every mount.
set -euo pipefail
layers=$1 dir=$2
shift 2

# nspawn makes its cgroups below the caller's and leaves them there.
name=blackstart-test-$$
cgroups=()
while IFS=: read -r _ controllers path; do
  case $controllers in
    name=systemd) top=/sys/fs/cgroup/systemd ;;
    "") if [ -d /sys/fs/cgroup/unified ]; then top=/sys/fs/cgroup/unified; else top=/sys/fs/cgroup; fi ;;
    *) continue ;;
  esac
  cgroups+=("$top${path%/}")
done < /proc/self/cgroup

machine=
clean() {
  trap '' EXIT TERM INT HUP
  set +e
  # The pid namespace ends with its first process.
  if [ -n "$machine" ]; then
    kill -KILL "$machine"
    wait "$machine"
  fi 2> /dev/null
  for group in "${cgroups[@]}"; do
    echo $$ > "$group/cgroup.procs"
    # The last processes of the namespace may need a moment to go.
    for _ in {1..50}; do
      find "$group/$name" -depth -type d -exec rmdir {} + 2> /dev/null
      [ -d "$group/$name" ] || break
      sleep 0.1
    done
  done
}
trap clean EXIT
trap 'clean; exit 143' TERM INT HUP

for group in "${cgroups[@]}"; do
  mkdir "$group/$name"
  echo $$ > "$group/$name/cgroup.procs"
done

mkdir -p "$dir/upper" "$dir/work" "$dir/root"
# /run: nspawn keeps files of its own there. /tmp stays on the disk, as on a node without tmp.mount.
SYSTEMD_NSPAWN_TMPFS_TMP=0 unshare --mount --pid --fork --kill-child=KILL --mount-proc \
  bash -c '
    set -e
    layers=$1 dir=$2
    shift 2
    mount -t overlay overlay -o "lowerdir=$layers,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
    mount -t tmpfs tmpfs /run
    exec systemd-nspawn --quiet --directory="$dir/root" --machine=node1 --register=no --keep-unit \
      --resolv-conf=off --timezone=off --console=pipe "$@"
  ' bash "$layers" "$dir" "$@" < /dev/null &
machine=$!
code=0
wait "$machine" || code=$?
machine=
exit "$code"
