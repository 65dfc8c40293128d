#!/bin/sh
# First process of a node's namespaces. Makes the machine as its kernel would, then reaps whatever dies.
#
# boot.sh DISK HOSTNAME ADDRESS PROGRAMS CGROUP...
#   DISK        the node's root directory; all that it writes to disk lands there
#   ADDRESS     of its one network interface, a /24
#   PROGRAMS    seen by the node as /opt/e2e
#   CGROUP...   hierarchies as NAME:TYPE:OPTIONS, mounted on /sys/fs/cgroup/NAME; NAME is empty for version 2 alone
#
# /run/booted exists once everything is there.
set -eu
disk=$1 hostname=$2 address=$3 programs=$4
shift 4

mount --make-rprivate /
mount --bind "$disk" "$disk"
cd "$disk"
# The machine's programs; what a node adds to /usr stays on its own disk.
mount -t overlay overlay -o "lowerdir=/usr,upperdir=$disk/.usr/upper,workdir=$disk/.usr/work" usr
mount --bind "$programs" opt/e2e
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp

mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
for hierarchy; do
  name=${hierarchy%%:*} rest=${hierarchy#*:}
  type=${rest%%:*} options=${rest#*:}
  mkdir -p "sys/fs/cgroup/$name"
  mount -t "$type" -o "$options" cgroup "sys/fs/cgroup/$name"
done

# Version 2 alone: a group with controllers for its children has no processes of its own.
if test -e sys/fs/cgroup/cgroup.procs; then
  mkdir sys/fs/cgroup/init
  echo 1 > sys/fs/cgroup/init/cgroup.procs
  sed 's/[^ ]*/+&/g' sys/fs/cgroup/cgroup.controllers > sys/fs/cgroup/cgroup.subtree_control
fi

# What a kubelet sets for the whole machine, and what tells one boot from another: files of the node's own.
mkdir run/proc
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
  kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  copy=run/proc/$(basename $setting)
  cat "/proc/sys/$setting" > "$copy"
  mount --bind "$copy" "proc/sys/$setting"
done
cat /proc/sys/kernel/random/uuid > run/proc/boot_id
mount --bind run/proc/boot_id proc/sys/kernel/random/boot_id
# As run-blackstart.mount has it; noswap is newer than some kernels.
mkdir run/blackstart
for options in noswap,size=25% size=25%; do
  mount -t tmpfs -o "mode=2700,nosuid,nodev,$options" blackstart run/blackstart && break
done

hostname "$hostname"
ip link set lo up
# "wire" is the cable: set it down, and the node has no network.
ip link add eth0 type veth peer name wire
ip address add "$address/24" dev eth0
ip link set eth0 up
ip link set wire up
ip route add default dev eth0

mkdir -p old
pivot_root . old
umount -l /old
mount --make-rshared /
touch /run/booted
while :; do
  sleep 86400 &
  wait
done
