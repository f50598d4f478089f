# SPDX-License-Identifier: Apache-2.0
# make run and make test do everything a fresh Debian 12 with a Swift toolchain needs. V=1 shows the commands.
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

Q := $(if $(V),,@)
VERBOSITY := $(if $(V),--verbose,--quiet)
export V CI KEEP FUZZ_SECONDS

PREFIX ?= /usr/local
WEIR := .build/release/weir
BPF_OBJECT := bpf/out/datapath.bpf.o
# For kernels without bpf_sock_destroy (before 6.5), which libbpf 1.1 would look for with CAP_SYS_ADMIN only.
LESSER_OBJECT := bpf/out/lesser.bpf.o
# For tests alone: a layout whose sockets' state differs.
WIDER_OBJECT := bpf/out/wider.bpf.o
MACHINE := $(shell uname -m)
BPF_ARCH := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(MACHINE)))

.PHONY: help
help: ## say what the targets do
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18
	@echo "  V=1 shows the commands; KEEP=1 leaves what 'make run' started up until Ctrl-C"

.PHONY: run
run: root-needed run-needs build ## install what is missing, build, and run examples/shop
	$(Q)examples/shop/run

.PHONY: build
build: build-needs bpf ## the release binary, .build/release/weir
	@echo "BUILD  $(WEIR) (the first time takes minutes)"
	$(Q)swift build -c release --static-swift-stdlib --product weir $(VERBOSITY)
	@printf '       %s bytes\n' "$$(stat -c %s $(WEIR))"

.PHONY: test
test: root-needed run-needs bpf ## install what is missing, build and run every test
	$(Q)scripts/test

.PHONY: check
check: ## file lengths, licence lines, shell syntax, stray blanks, the unit's sandbox; builds nothing
	$(Q)scripts/check-house
	$(Q)scripts/check-unit

.PHONY: fuzz
fuzz: build-needs ## feed the decoder what nobody would write, for FUZZ_SECONDS (60)
	$(Q)fuzz/run

.PHONY: bench
bench: root-needed run-needs build ## measure: memory, CPU, start, latency with and without weir
	$(Q)bench/run

.PHONY: soak
soak: root-needed run-needs build ## prove what docs/RELIABILITY.md claims; SOAK_SCALE=0.01 for a short run
	$(Q)soak/run

.PHONY: test-kernels
test-kernels: root-needed build-needs bpf ## boot Debian's kernels in QEMU, run the kernel tests there, print the matrix
	$(Q)scripts/install-packages run kernels
	$(Q)swift build --build-tests $(VERBOSITY)
	$(Q)scripts/test-kernels $(KERNELS)

.PHONY: test-unit
test-unit: root-needed build ## boot Debian's kernel with systemd in QEMU, and try weir.service as an operator does
	$(Q)scripts/install-packages run kernels
	$(Q)scripts/test-unit $(KERNEL)

.PHONY: bpf
bpf: build-needs $(BPF_OBJECT) $(LESSER_OBJECT) $(WIDER_OBJECT) ## the kernel half alone

$(LESSER_OBJECT): BPF_FLAGS := -DWEIR_WITHOUT_SOCK_DESTROY
$(WIDER_OBJECT): BPF_FLAGS := -DWEIR_TEST_WIDER_STATE

# BTF stays in the object, debug sections go: the object is carried in the binary.
$(BPF_OBJECT) $(LESSER_OBJECT) $(WIDER_OBJECT): $(wildcard bpf/*.bpf.c bpf/*.h bpf/include/*.h) Makefile
	@echo "BPF    $@"
	@mkdir -p $(@D)
	$(Q)clang=$$(scripts/check-toolchain) && \
	"$$clang" -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) -O2 -g -Wall -Wextra -Werror $(BPF_FLAGS) \
	  -Ibpf/include -idirafter /usr/include/$(MACHINE)-linux-gnu -c bpf/datapath.bpf.c -o $@ && \
	objcopy=$$(dirname "$$clang")/llvm-objcopy && { ! [ -x "$$objcopy" ] || "$$objcopy" --strip-debug $@; }

.PHONY: install
install: build ## the binary and the systemd unit, below $(DESTDIR)$(PREFIX)
	$(Q)install -D -m 755 $(WEIR) $(DESTDIR)$(PREFIX)/bin/weir
	$(Q)[ ! -f deploy/weir.service ] || { install -d $(DESTDIR)$(PREFIX)/lib/systemd/system && \
	  sed 's|@PREFIX@|$(PREFIX)|' deploy/weir.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/weir.service && \
	  install -m 644 deploy/weir.slice $(DESTDIR)$(PREFIX)/lib/systemd/system/weir.slice; }

.PHONY: clean
clean: ## remove what the build made
	$(Q)rm -rf .build bpf/out

.PHONY: root-needed
root-needed:
	@[ "$$(id -u)" = 0 ] || { echo "weir: this loads BPF programs and makes cgroups: run it as root" >&2; exit 2; }

.PHONY: build-needs
build-needs:
	$(Q)scripts/check-toolchain >/dev/null
	$(Q)scripts/install-packages build

.PHONY: run-needs
run-needs: build-needs
	$(Q)scripts/check-kernel
	$(Q)scripts/install-packages run
	$(Q)scripts/install-envoy .build/envoy || echo "envoy: cannot be had here: what needs it is marked 'not run'"
