#!/bin/bash
# Removes a directory when told to end, which the kernel does when the process that started this
# ends, however it ends (setpriv --pdeathsig TERM).
clean() {
  kill "$!"
  # A machine that is being ended at the same moment may still write there.
  for _ in {1..50}; do
    rm -rf -- "$1" 2> /dev/null && break
    sleep 0.1
  done
  exit 0
}
trap 'clean "$1"' TERM INT HUP
sleep infinity &
wait "$!"
