#!/bin/sh
# Runs in a machine that has one disk of a guest and nothing else, and reads the files on the disk.
# Orders come over a serial port, a line each; each has lines of an answer, and then "done".
# Files go out over another port, as tar. system/appliance.py is the other side.
export PATH=/bin
mount -t devtmpfs dev /dev
exec </dev/null >/dev/null 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys

insert() {
    for list in "/modules/$1".[0-9] "/modules/$1"; do
        while read -r file; do insmod "/modules/$file"; done <"$list"
    done
}
tell() { printf '%s\n' "$*" >&3; }

parts() {
    for node in /sys/class/block/vda?*; do
        [ -e "$node" ] || node=/sys/class/block/vda
        read -r sectors <"$node/size"
        node=${node##*/}
        number=${node#vda}
        tell "part ${number:-0} $sectors $(blkid -p -s TYPE -o value "/dev/$node")"
    done
}

# NODE DRIVER OPTIONS
read_only() {
    insert "$2"
    if [ "$2" = fuse ]; then
        said=$(ntfs-3g -o "$3" "/dev/$1" /disk 2>&1)
    else
        said=$(mount -t "$2" -o "$3" "/dev/$1" /disk 2>&1)
    fi && return
    set -f
    set -- $said
    tell "fault $*"
}

look() {
    if [ -L "$1" ]; then tell "link $(readlink "$1")"
    elif [ -d "$1" ]; then tell folder
    elif [ -f "$1" ]; then tell file
    elif [ -e "$1" ]; then tell other
    else tell missing; fi
}

send() {
    tar -C /disk -b 128 -cSf - --format=gnu --hard-dereference --sort=name -- "$1" \
        2>/errors >"${ports}2"
    # a tar that was killed has written no end: then the machine ends, and nobody waits for more
    [ $? -le 2 ] || exit
    head -n 100 /errors | while read -r line; do tell "left $line"; done
}

insert first
# The kernel numbers the device, QEMU the ports, and both appear a moment after their drivers
until ports=$(echo /dev/vport*p2) && [ -c "$ports" ] && [ -b /dev/vda ]; do sleep 0.02; done
ports=${ports%2}
exec 3<>"${ports}1"
tell done
while IFS= read -r order <&3; do
    rest=${order#* }
    case $order in
        parts) parts ;;
        mount\ *) read_only $rest ;;
        look\ *) look "/disk/$rest" ;;
        size\ *) size=$(du -s -B1 -- "/disk/$rest") size=${size%%[!0-9]*}; tell "size ${size:-0}" ;;
        send\ *) send "./$rest" ;;
    esac
    tell done
done
