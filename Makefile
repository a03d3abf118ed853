# SPDX-License-Identifier: GPL-3.0-or-later
# One Makefile for the whole tree. `make help` lists the targets.
#
# A folder of sources is a library; a daemon is its folder's main.c, a tool its folder under
# tools/; each is linked with just the libraries that it may include (tests/include_rules.py
# holds the same table against the sources). SAN=1 builds under ASan and UBSan in build/san, FAULTS=1
# with faults on demand (base/fault.h), which tests want, in build/faults.

VERSION := 0.1.0
PREFIX ?= /usr/local
B := build$(if $(SAN),/san)$(if $(FAULTS),/faults)
comma := ,

CFLAGS ?= -O2 -g
SANFLAGS := $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
WARN := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wvla -Wno-unused-parameter
ALL_CFLAGS = -std=gnu11 -ffp-contract=off $(CFLAGS) $(WARN) $(SANFLAGS) -I. -I$B/gen -D_GNU_SOURCE -DVNE_VERSION='"$(VERSION)"' $(if $(FAULTS),-DVNE_FAULTS) -MMD -MP
ALL_LDFLAGS = $(LDFLAGS) $(SANFLAGS)

# What each library needs from outside, and what each program is linked with, from the top of
# the stack to its foot.
LIBS_base := -lmnl -Wl,--as-needed -lseccomp -Wl,--no-as-needed
LIBS_model := -lyaml -ljansson -lm
LIBS_origin := -lexpat -lyaml -lm
LIBS_embed := -lglpk -lm
LIBS_proto := -lzmq -lprotobuf-c
LIBS_vned := -lmicrohttpd -lsqlite3
LIBS_vnagent := -lbpf
LIBS_tests := -lcmocka

# The helper for Xen guests is tied to one version of Xen's library, and left out where there is none.
XEN := $(if $(shell pkg-config --exists xenlight xenstore 2>/dev/null && echo yes),vnagent/xen)
LIBS_vnagent/xen := -Wl,--as-needed -lxenlight -lxlutil -lxentoollog -lxenstore -Wl,--no-as-needed
ifeq ($(XEN),)
$(info libxen-dev is not installed: no vnagent-xen, no Xen guests)
endif

NEEDS_vned := vned proto model base
NEEDS_vnagent := vnagent proto model base
NEEDS_vnagent-watch := vnagent/watch vnagent model base
NEEDS_vnagent-xen := vnagent/xen vnagent model base
NEEDS_vnguest := vnagent/guest model base
NEEDS_vnctl := proto model base
NEEDS_vnembed := embed proto model base
NEEDS_vnsim := origin embed model base
NEEDS_vngen := origin model base
NEEDS_vnimport := origin model base
NEEDS_vnlab := proto model base
NEEDS_tests := $(XEN) vned vnagent/watch vnagent vnagent/guest origin embed proto model base

LIBRARIES := base model origin embed proto vned vnagent vnagent/watch vnagent/guest $(XEN)
DAEMONS := vned vnagent
TOOLS := $(notdir $(patsubst %/,%,$(wildcard tools/vn*/)))
PROGRAMS := $(patsubst %,$B/%,$(DAEMONS) $(TOOLS) vnagent-watch vnguest vnimage $(if $(XEN),vnagent-xen))

PLANES := $(patsubst vnagent/bpf/%.bpf.c,$B/planes/%.o,$(filter-out vnagent/bpf/split.bpf.c,$(wildcard vnagent/bpf/*.bpf.c)))

# ---- how things are made ----------------------------------------------------------------
objects = $(patsubst %.c,$B/obj/%.o,$1)
library = $(foreach l,$1,$B/lib$l.a)
flags = $(foreach l,$1,$(LIBS_$l))

GENERATED := $(patsubst %.proto,$B/gen/%.pb-c.c,$(wildcard proto/*.proto))
TESTS := $(patsubst tests/%.c,$B/tests/%,$(filter-out $(if $(XEN),,tests/unit/test_xen%),$(wildcard tests/unit/test_*.c tests/property/test_*.c tests/conformance/test_*.c)))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all man tests deps demo check soak xen-demo xen-rtds bench compare fuzz install clean help

all: $(PROGRAMS) $(PLANES) man ## build everything into build/
tests: $(TESTS) ## build the tests without running them
	@$(MAKE) --no-print-directory B=$B/faults FAULTS=1 all

$B/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@
$B/gen/%.pb-c.c $B/gen/%.pb-c.h &: %.proto
	@mkdir -p $B/gen
	protoc-c --c_out=$B/gen $<
$B/obj/%.pb-c.o: $B/gen/%.pb-c.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -Wshadow,$(ALL_CFLAGS)) -c $< -o $@
$(call objects,$(wildcard proto/*.c)): | $(GENERATED)

# Programs for the kernel are part of the agent: compiled for its machine, then laid down as bytes.
$B/gen/vnagent/bpf/%.o: vnagent/bpf/%.bpf.c vnagent/split_map.h vnagent/bpf/program.h
	@mkdir -p $(@D)
	clang -O2 -g -target bpf -Wall -Wextra -Werror -Wno-address-of-packed-member -idirafter /usr/include/$(shell gcc -print-multiarch) -I. -c $< -o $@
$B/gen/vnagent/bpf/%.inc: $B/gen/vnagent/bpf/%.o
	od -An -v -tx1 $< | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g' > $@
$B/obj/vnagent/split_bpf.o: $B/gen/vnagent/bpf/split.inc
# Those that an operator may offer to routers (`programs` in vnagent.yaml) are files.
$B/planes/%.o: $B/gen/vnagent/bpf/%.o
	@mkdir -p $(@D)
	cp $< $@

# Which commit this is: looked at each time, written where it has changed.
.PHONY: FORCE
$B/gen/commit.h: FORCE
	@mkdir -p $(@D)
	@echo "#define VNE_COMMIT \"$$(git describe --always --dirty 2>/dev/null || echo unknown)\"" > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$B/obj/tools/vnsim/sweep_report.o: $B/gen/commit.h

define library_rule
$B/lib$1.a: $(call objects,$(filter-out $1/main.c,$(wildcard $1/*.c))) $(if $(filter proto,$1),$(patsubst $B/gen/%.c,$B/obj/%.o,$(GENERATED)))
	@mkdir -p $$(@D) && rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach l,$(LIBRARIES),$(eval $(call library_rule,$l)))

define program_rule
$B/$1: $(call objects,$2) $(call library,$(NEEDS_$1))
	$(CC) $(ALL_LDFLAGS) $$^ $(call flags,$(NEEDS_$1)) -o $$@
endef
$(foreach d,$(DAEMONS),$(eval $(call program_rule,$d,$d/main.c)))
$(foreach t,$(TOOLS),$(eval $(call program_rule,$t,$(wildcard tools/$t/*.c))))
$(eval $(call program_rule,vnagent-watch,vnagent/watch/main.c))
$(if $(XEN),$(eval $(call program_rule,vnagent-xen,vnagent/xen/main.c)))
# What is inside a guest, where every byte is memory of every router, and the script that makes an image of it.
$B/vnguest: $(call objects,vnagent/guest/main.c) $(call library,$(NEEDS_vnguest))
	$(CC) $(ALL_LDFLAGS) -Wl,--as-needed $(if $(SAN),,-s) $^ $(call flags,$(NEEDS_vnguest)) -o $@
$B/vnguest-libssh.so: vnagent/guest/libssh/none.c vnagent/guest/libssh/none.map
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -Os $(WARN) -shared -fPIC -s -nostdlib -fno-asynchronous-unwind-tables -Wl,-z,noseparate-code,-soname,libssh-gcrypt.so.4 -Wl,--version-script=$(word 2,$^) $< -o $@ && chmod 644 $@
$B/vnagent: | $B/vnguest-libssh.so
$B/vnimage: tools/vnimage $B/vnguest $B/vnguest-libssh.so
	sed 's/@VERSION@/$(VERSION)/' $< > $@ && chmod 755 $@

$B/tests/%: $B/obj/tests/%.o $(call library,$(NEEDS_tests))
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $^ $(call flags,$(NEEDS_tests)) $(LIBS_tests) -o $@
$B/tests/property/test_igraph: LIBS_tests += -ligraph

MANUALS := $(patsubst docs/man/%.scd,$B/man/%,$(wildcard docs/man/*.scd))
man: $(MANUALS)
$B/man/%: docs/man/%.scd
	@mkdir -p $(@D)
	scdoc < $< > $@

# ---- what people call -------------------------------------------------------------------
deps: ## install the Debian packages that are missing (as root)
	@tools/deps.sh

demo: deps ## the product at its main job, on the real Abilene (as root)
	@$(MAKE) --no-print-directory -s -j2 all
	@tools/demo

check: deps ## all tests (SAN=1: under ASan and UBSan)
	@$(MAKE) --no-print-directory -s -j2 all tests
	@tests/run $B

SOAK ?= 180s
soak: deps ## every crash point in turn, then SOAK=180s of random requests, kills, cuts and drains (SOAK_SEED=N; as root)
	@$(MAKE) --no-print-directory -s -j2 all
	@$(MAKE) --no-print-directory -s -j2 B=$B/faults FAULTS=1 all
	@SWEEP_SECONDS=1000000 SOAK_SECONDS=$(SOAK:s=) SOAK_SEED=$${SOAK_SEED:-$$(date +%s)} tests/run $B test_crash test_adversity test_soak

xen-demo: deps ## routers that are guests, on real Xen in QEMU (as root; KEEP=1: and a shell there)
	@$(MAKE) --no-print-directory -s -j2 all
	@VNE_BUILD=$B tools/xen-demo

xen-rtds: ## a hypervisor with the real-time scheduler, from Debian's source (kept in ~/.cache/vne)
	@tests/xenlab/rtds-hypervisor

BENCHES := $(patsubst tests/%.c,$B/tests/%,$(wildcard tests/bench/bench_*.c))
bench: deps ## what was asked for beside what this machine does (as root; installs the peers)
	@tools/deps.sh bench
	@$(MAKE) --no-print-directory -s -j2 all $(BENCHES)
	@tests/bench/run.py $B

# Carried into routers of every kind: it needs nothing of theirs.
$B/tests/bench/blast: tests/bench/blast.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -static $< -o $@
compare: deps ## the same network with routers of each kind and plane, as a table (as root)
	@$(MAKE) --no-print-directory -s -j2 all $B/tests/bench/blast
	@tests/bench/compare.py $B

# Each tests/fuzz/fuzz_NAME.c for FUZZ_SECONDS, two at a time, from the seeds in tests/fuzz/corpus/NAME; what is found
# on the way stays in build/.
FUZZ_SECONDS ?= 60
FUZZERS := $(patsubst tests/fuzz/%.c,$B/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZFLAGS := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
fuzz: ## fuzz what reads input from outside (clang; FUZZ_SECONDS=60 for each)
	@tools/deps.sh fuzz
	@$(MAKE) --no-print-directory -s -j2 B=$B/fuzz CC=clang CFLAGS='$(FUZZFLAGS)' fuzzers
	@printf '%s\n' $(FUZZERS) | xargs -P 2 -I @ tests/fuzz/run @ $B/fuzz $(FUZZ_SECONDS)
.PHONY: fuzzers
fuzzers: $(patsubst tests/fuzz/%.c,$B/%,$(wildcard tests/fuzz/fuzz_*.c))
$B/fuzz_%: $B/obj/tests/fuzz/fuzz_%.o $(call library,$(NEEDS_tests))
	$(CC) -fsanitize=fuzzer,address,undefined $^ $(call flags,$(NEEDS_tests)) -o $@

install: all ## install into DESTDIR and PREFIX, with systemd units
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/vne $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -D -m 644 $B/vnguest-libssh.so $(DESTDIR)$(PREFIX)/lib/vne/vnguest-libssh.so
	install -d $(DESTDIR)$(PREFIX)/lib/vne/planes
	install -m 644 $(PLANES) $(DESTDIR)$(PREFIX)/lib/vne/planes
	install -D -m 644 vnagent/bpf/program.h $(DESTDIR)$(PREFIX)/include/vne/program.h
	for m in $(MANUALS); do install -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$${m##*/}; done
	cp -r topologies docs/schema $(DESTDIR)$(PREFIX)/share/vne
	install -D -m 644 vned/vned.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/vned.conf
	for d in $(DAEMONS); do sed 's:@PREFIX@:$(PREFIX):' $$d/$$d.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$d.service; done

clean: ## remove build/
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

-include $(shell test -d $B/obj && find $B/obj -name '*.d')
