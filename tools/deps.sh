#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The one list of Debian packages, used by `make deps`, `make demo`, `make check` and CI alike.
# Installs only what is missing, as root; without root it says what to ask for.
set -eu

build="gcc make pkg-config libc6-dev libglpk-dev libzmq3-dev libprotobuf-c-dev protobuf-c-compiler
       libyaml-dev libexpat1-dev libmnl-dev libjansson-dev libmicrohttpd-dev libsqlite3-dev scdoc libxen-dev
       clang libbpf-dev libseccomp-dev"
tests="libcmocka-dev libigraph-dev gnuplot-nox python3 python3-pytest python3-yaml python3-jsonschema
       qemu-system-x86 binutils xz-utils curl openvswitch-testcontroller frr graphviz"
# what the routers of the demo and the tests run inside, and what looks at the result from outside
run="bird2 openvswitch-switch udhcpc iputils-ping iperf3 iproute2 nftables tcpdump util-linux procps"
more=
case "${1:-}" in
fuzz) more="clang libclang-rt-14-dev" ;; # for `make fuzz`
bench) more="mininet coinor-cbc glpk-utils" ;; # the peers of `make bench`
esac

missing=
for package in $build $tests $run $more; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "these Debian packages are missing; as root: apt-get install$missing" >&2
	exit 70
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
apt-get install -qq -y --no-install-recommends $missing >/dev/null 2>&1 || {
	apt-get update -qq
	apt-get install -qq -y --no-install-recommends $missing >/dev/null
}
# Routers start their own; the host's were not asked for.
for service in bird2:bird openvswitch-switch:openvswitch-switch openvswitch-testcontroller:openvswitch-testcontroller frr:frr; do
	case " $missing " in
	*" ${service%:*} "*)
		if [ -d /run/systemd/system ] && systemctl disable --now "${service#*:}" >/dev/null 2>&1; then
			echo "${service#*:}.service, which came with ${service%:*}, is disabled: routers start their own"
		fi
		;;
	esac
done
