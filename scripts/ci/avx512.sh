#!/usr/bin/env bash
# The AVX-512 kernels' conformance: here where the processor has the instructions, else on a Skylake-X that Bochs
# emulates, under Debian's kernel. qemu does not emulate AVX-512.
source "$(dirname "$0")/common.sh"
need c++:g++ cc:gcc cmake:cmake make:make

build_here kernel_conformance
program=$here/kernel_conformance

if [ "${TENSORGUARD_EMULATE:-}" != 1 ] && grep -qw avx512bw /proc/cpuinfo && grep -qw avx512vl /proc/cpuinfo; then
  TENSORGUARD_FORCE_ISA=avx512 "$program" --quick
  exit
fi

need bochs bochs-term bochsbios vgabios genisoimage cpio:cpio

# The kernel and the boot loader are unpacked, not installed. The cloud kernel has few drivers and boots fast.
# clearcpuid=321,323 in isolinux.cfg switches XSAVEC and XSAVES off: Bochs 2.7 reports a wrong size for their format,
# and Linux then gives up on everything above SSE. The initcalls left out there took most of the boot.
if ! ls "$scratch"/unpacked/boot/vmlinuz-* >/dev/null 2>&1; then
  mkdir -p "$scratch/packages"
  kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
  (cd "$scratch/packages" && quietly "$scratch/apt.log" apt-get download "$kernel" isolinux syslinux-common)
  for package in "$scratch"/packages/*.deb; do dpkg-deb -x "$package" "$scratch/unpacked"; done
fi

machine=$scratch/machine
rm -rf "$machine"
mkdir -p "$machine/root/dev" "$machine/iso"
cc -O2 -static -Wall -Wextra -o "$machine/root/init" scripts/ci/bochs/init.c
cp "$program" "$machine/root/program"
strip "$machine/root/program"
(cd "$machine/root" && find . | cpio --quiet -o -H newc | gzip -1) >"$machine/iso/initrd.gz"
cp "$scratch"/unpacked/boot/vmlinuz-* "$machine/iso/vmlinuz"
cp "$scratch/unpacked/usr/lib/ISOLINUX/isolinux.bin" "$scratch/unpacked/usr/lib/syslinux/modules/bios/ldlinux.c32" \
  scripts/ci/bochs/isolinux.cfg "$machine/iso"
genisoimage -quiet -o "$machine/boot.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 \
  -boot-info-table "$machine/iso"
cp scripts/ci/bochs/bochsrc "$machine"
# Debian's Bochs stops in its debugger at power-on: go on.
echo c >"$machine/continue"

(
  cd "$machine"
  # Its display needs a terminal; script makes one. In the foreground: whoever ends this stage's process group ends it too.
  TERM=linux timeout --foreground 600 script -qec 'bochs -q -f bochsrc -rc continue' /dev/null </dev/null >screen.txt 2>&1
) || true
touch "$machine/serial.txt"
tr -d '\r' <"$machine/serial.txt" | grep -v '^\[ *[0-9.]*\] ' || true
grep -q 'program ended with exit status 0' "$machine/serial.txt" ||
  { tail -5 "$machine/bochs.log" >&2; exit 1; }
