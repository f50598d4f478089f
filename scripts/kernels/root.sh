# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every root that a kernel is booted with has: busybox, the programs that matter in their real form, the kernel's
# network modules, one user. Sourced by make-root and make-host, with $kernel (its directory) and $root set.
rm -rf "$root"
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{dev,proc,sys,tmp,run,root,etc,usr/{bin,sbin,lib,lib64}}
for directory in bin sbin lib lib64; do ln -s "usr/$directory" "$root/$directory"; done

# Copies files, and what they are linked with, to the paths that they have here.
take() {
  local file
  for file in "$@"; do
    [ -e "$root/$file" ] || cp -L --parents "$file" "$root"
    { ldd "$file" 2>/dev/null | grep -o "/[^ ]*" || true; } | while read -r library; do
      [ -e "$root/$library" ] || cp -L --parents "$library" "$root"
    done
  done
}

# take_command NAME...: the real program instead of busybox's.
take_command() {
  local command path
  for command in "$@"; do
    path=$(readlink -f "$(type -P "$command")")
    rm -f "$root/usr/bin/$command"
    take "$path"
    [ -e "$root/usr/bin/$command" ] || ln -s "$path" "$root/usr/bin/$command"
  done
}

take "$(type -P busybox)"
for applet in $(busybox --list | grep -vx busybox); do ln -sf busybox "$root/usr/bin/$applet"; done
ln -sf ../bin/busybox "$root/usr/sbin/modprobe"
take_command sh curl

modules=lib/modules/$(ls "$kernel/lib/modules")
mkdir -p "$root/$modules"
cp "$kernel/$modules"/modules.* "$root/$modules"
(cd "$kernel/$modules" && cp -r --parents kernel/net kernel/lib kernel/crypto kernel/arch kernel/drivers/net/{veth,dummy,tun}.ko \
  "$root/$modules" 2>/dev/null || true)

echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo '127.0.0.1 localhost' >"$root/etc/hosts"

# pack FILE: the root as an initramfs.
pack() { (cd "$root" && find . | cpio -o -H newc --quiet) >"$1"; }
