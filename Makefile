# xdplb. `make help` lists the targets. Out of tree: everything made lies under $(BUILD).

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
# Which compiler, and which flavour: SANITIZE=address,undefined or thread.
CXX      = g++
CLANG   ?= clang
SANITIZE ?=
OPT     ?= -O2
PYTHON  ?= /usr/bin/python3

V ?= 0
ifeq ($(V),0)
Q = @
say = @printf '  %-7s %s\n' $(1) $(2);
else
say =
endif

CCACHE := $(shell command -v ccache 2>/dev/null)
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

RELEASE := 0.1.0
CPPFLAGS += -I. -D_GNU_SOURCE -DXDPLB_VERSION='"$(RELEASE)"'
WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
CXXFLAGS += -std=c++20 $(OPT) -g1 $(WARNINGS) -pthread -fno-plt
LDFLAGS  += -pthread
LDLIBS   := -lxdp -lbpf -luring -lmnl -lcap -lfmt
# With a sanitizer g++ 12 sees uninitialised members in the standard library's <regex>, which Catch2 includes.
NO_FALSE_ALARM := $(if $(findstring clang,$(CXX)),,-Wno-maybe-uninitialized)
ifneq ($(SANITIZE),)
CXXFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
LDFLAGS  += -fsanitize=$(SANITIZE)
CXXFLAGS += $(NO_FALSE_ALARM)
endif

# As many jobs as there are cores, unless the caller says otherwise.
ifeq ($(MAKELEVEL)$(filter -j% --jobserver%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 1)
endif

# What tests run: with the invariants of debug builds, under AddressSanitizer and UndefinedBehaviorSanitizer unless
# another sanitizer is asked for.
comma := ,
CHECK_SANITIZE := $(if $(SANITIZE),$(SANITIZE),address$(comma)undefined)
CHECK_FLAGS := -DXDPLB_CHECKS=1 -std=c++20 -O1 -g1 $(WARNINGS) -pthread -fsanitize=$(CHECK_SANITIZE) \
               -fno-omit-frame-pointer -fno-sanitize-recover=all $(NO_FALSE_ALARM)
CHECK_LDFLAGS := -pthread -fsanitize=$(CHECK_SANITIZE)

src = $(wildcard $(addsuffix /*.cpp,$(1)))
obj = $(patsubst %.cpp,$(BUILD)/obj/%.o,$(1))
# The same objects with the invariants of debug builds checked: what the tests run.
objc = $(patsubst %.cpp,$(BUILD)/objc/%.o,$(1))
embedded = $(patsubst $(BUILD)/%.o,$(BUILD)/obj/%_object.o,$(1))

LIB_SRC   := $(call src,user/base user/net user/lb user/ctl user/path umem)
CMD_SRC   := $(call src,cmd)
UNIT_SRC  := $(call src,tests/unit tests/unit/base tests/unit/net tests/unit/lb tests/unit/ctl tests/unit/path \
               tests/unit/umem tests/unit/kern tests/unit/tools tests/support tests/fuzz)
KERNT_SRC := $(call src,tests/kern)
TOOLCOMMON_SRC := $(call src,tools/common)
BASE_SRC  := $(call src,user/base)
BPF_OBJ   := $(patsubst kern/%.c,$(BUILD)/%.o,$(wildcard kern/*_kern.c))

TOOL_BPF  := $(BUILD)/xdpgen_kern.o $(BUILD)/xdpsink_kern.o

BINS := $(BUILD)/xdplb $(BUILD)/mconnect $(BUILD)/ctraffic $(BUILD)/xdpgen $(BUILD)/xdpsink

.PHONY: all
all: $(BPF_OBJ) $(BINS) ## build everything: xdplb, xdp_vip_kern.o and the tools, in build/

$(BUILD)/xdplb: $(call obj,$(CMD_SRC) $(LIB_SRC)) $(call embedded,$(BPF_OBJ))
	$(call say,LINK,$@)
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/mconnect: $(call obj,$(call src,tools/mconnect) $(TOOLCOMMON_SRC) $(BASE_SRC))
	$(call say,LINK,$@)
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ -luring -lfmt

$(BUILD)/ctraffic: $(call obj,$(call src,tools/ctraffic) $(TOOLCOMMON_SRC) $(BASE_SRC))
	$(call say,LINK,$@)
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ -luring -lfmt

PACKETS_OBJ := $(call obj,$(call src,tools/packets)) $(call embedded,$(TOOL_BPF))
$(BUILD)/xdpgen: $(call obj,$(call src,tools/xdpgen) $(TOOLCOMMON_SRC) $(BASE_SRC) $(call src,user/net)) $(PACKETS_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ -lbpf -luring -lfmt

$(BUILD)/xdpsink: $(call obj,$(call src,tools/xdpsink) $(TOOLCOMMON_SRC) $(BASE_SRC) $(call src,user/net)) $(PACKETS_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ -lbpf -luring -lfmt

# The unit tests: the library and what the tools share, with XDPLB_CHECKS, and no privileges needed.
TOOLS_TESTED := $(filter-out %/main.cpp %/generator.cpp %/sink.cpp,$(call src,tools/mconnect tools/ctraffic \
                  tools/common tools/xdpgen tools/xdpsink))
$(BUILD)/unit: $(call objc,$(UNIT_SRC) $(LIB_SRC) $(TOOLS_TESTED)) $(call embedded,$(BPF_OBJ))
	$(call say,LINK,$@)
	$(Q)$(CXX) $(CHECK_LDFLAGS) -o $@ $^ $(LDLIBS)

# Tests of the kernel programs through BPF_PROG_TEST_RUN, and of what umem asks of the kernel: need root.
$(BUILD)/kern-tests: $(call objc,$(KERNT_SRC) $(LIB_SRC)) $(call embedded,$(BPF_OBJ))
	$(call say,LINK,$@)
	$(Q)$(CXX) $(CHECK_LDFLAGS) -o $@ $^ $(LDLIBS)

# Objects are made anew when what they are made with changes.
$(BUILD)/flags: FORCE
	$(shell mkdir -p $(@D))$(file >$@.now,$(CXX) $(CPPFLAGS) $(CXXFLAGS) $(CHECK_FLAGS))
	@cmp -s $@.now $@ && rm $@.now || mv $@.now $@
.PHONY: FORCE
FORCE:

$(BUILD)/obj/%.o: %.cpp $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CCACHE) $(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/objc/%.o: %.cpp $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CCACHE) $(CXX) $(CPPFLAGS) $(CHECK_FLAGS) -MMD -MP -c -o $@ $<

# The kernel programs. -g gives the BTF that libbpf needs; -mcpu=v3 loads on every kernel that we promise (5.15).
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -I. \
              -isystem /usr/include/$(shell g++ -dumpmachine 2>/dev/null)
$(BUILD)/%_kern.o: kern/%_kern.c
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

$(BUILD)/xdpgen_kern.o: tools/xdpgen/xdpgen_kern.c
$(BUILD)/xdpsink_kern.o: tools/xdpsink/xdpsink_kern.c
$(TOOL_BPF):
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

# The programs travel inside the binaries (user/path/bpf_objects.h, tools/packets/program.h), which need no file beside
# them.
$(BUILD)/obj/%_object.o: user/base/embed.S $(BUILD)/%.o
	@mkdir -p $(@D)
	$(call say,AS,$*.o)
	$(Q)$(CXX) -c -I$(BUILD) -DOBJECT=$* -o $@ $<

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 18

# --- dependencies -----------------------------------------------------------------------------------------

BUILD_PKGS := g++ clang llvm make pkg-config git libxdp-dev libbpf-dev liburing-dev libmnl-dev libcap-dev libfmt-dev \
              libcli11-dev nlohmann-json3-dev libxxhash-dev catch2 libelf-dev zlib1g-dev linux-libc-dev
TEST_PKGS  := bpftool iproute2 ethtool iputils-ping procps python3 python3-pytest python3-scapy util-linux libcap2-bin \
              libbenchmark-dev
LINT_PKGS  := clang-format clang-tidy shellcheck

# $(call install_missing,PACKAGES): those of Debian's that are not there. For root.
define install_missing
@missing=$$(for p in $(1); do dpkg-query -W -f='$${db:Status-Status}\n' $$p 2>/dev/null | grep -qx installed || echo $$p; done); \
if [ -n "$$missing" ]; then \
    [ "$$(id -u)" = 0 ] || { echo "These packages are missing; run 'make $@' as root:" $$missing; exit 1; }; \
    echo "Installing" $$missing; \
    apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        $$missing >/dev/null; \
fi
endef

.PHONY: deps
deps: ## install what building and testing need (Debian packages; root)
	$(call install_missing,$(BUILD_PKGS) $(TEST_PKGS))

.PHONY: deps-lint
deps-lint: deps
	$(call install_missing,$(LINT_PKGS))

# What the virtual machines need. Where they cannot be had, tests/vm/run says so and exits 77.
VM_PKGS := qemu-system-x86 busybox-static debian-archive-keyring

.PHONY: deps-vm
deps-vm: deps
	-$(call install_missing,$(VM_PKGS))

# --- tests ------------------------------------------------------------------------------------------------

RESULTS := $(BUILD)/results
REPORTS := $(patsubst %,$(RESULTS)/%.xml,unit kern end-to-end)

.PHONY: check
check: $(BUILD)/unit ## run the unit tests (no privileges needed)
	$(Q)tests/support/scratch $(BUILD)/unit

.PHONY: check-asan
check-asan: check ## the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer (which is how `check` runs)

.PHONY: check-clang
check-clang: ## the unit tests built by clang
	$(Q)$(MAKE) --no-print-directory BUILD=build/clang CXX=clang++ check

.PHONY: check-tsan
check-tsan: ## the unit tests under ThreadSanitizer
	$(Q)$(MAKE) --no-print-directory BUILD=build/tsan SANITIZE=thread check

# Every suite runs, whatever the others did; the summary adds them up and decides.
.PHONY: test
test: deps ## install what is missing, build, run every suite (root); last line: N passed, N failed
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/unit $(BUILD)/kern-tests
	$(Q)rm -rf $(RESULTS) && mkdir -p $(RESULTS)
	$(Q)tests/support/scratch $(BUILD)/unit -r junit -o $(RESULTS)/unit.xml || true
	$(Q)tools/lab/lab sandbox -- $(BUILD)/kern-tests -r junit -o $(RESULTS)/kern.xml || true
	$(Q)XDPLB_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest tests/e2e -q --junitxml=$(RESULTS)/end-to-end.xml || true
	$(Q)$(PYTHON) tests/support/summary.py $(REPORTS)

.PHONY: reports
reports: # for .ci/run, which adds another
	@echo $(REPORTS)

.PHONY: e2e
e2e: all ## the end-to-end tests alone (root)
	$(Q)XDPLB_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest tests/e2e -q

.PHONY: e2e-epoll
e2e-epoll: all ## the end-to-end tests with daemons that do without io_uring (root)
	$(Q)XDPLB_LB_OPTIONS=--event-loop=epoll XDPLB_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest tests/e2e -q

.PHONY: demo
demo: deps ## install what is missing, build, and show xdplb at work in a lab of namespaces (root)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)XDPLB_BUILD=$(abspath $(BUILD)) tools/lab/lab demo

# --- fuzzing: every tests/fuzz/*_fuzz.cpp is a libFuzzer program (tests/fuzz/fuzz.h) -------------------------

FUZZ_S  ?= 60
FUZZERS := $(patsubst tests/fuzz/%_fuzz.cpp,%,$(wildcard tests/fuzz/*_fuzz.cpp))

.PHONY: fuzz
fuzz: ## run every fuzzer for FUZZ_S seconds (60); what it finds lies in build/fuzz
	$(Q)$(MAKE) --no-print-directory BUILD=build/fuzz CXX=clang++ OPT=-O1 \
	    SANITIZE=fuzzer-no-link,address,undefined $(FUZZERS:%=fuzz-%)

fuzz-%: $(BUILD)/%_fuzz
	@mkdir -p $(BUILD)/corpus/$*
	$(call say,FUZZ,"$* for $(FUZZ_S) s")
	$(Q)$(BUILD)/$*_fuzz -max_total_time=$(FUZZ_S) -max_len=4096 -timeout=10 -print_final_stats=1 \
	    -artifact_prefix=$(BUILD)/$*- $(BUILD)/corpus/$* tests/fuzz/corpus/$* >$(BUILD)/$*.log 2>&1 || \
	    { tail -40 $(BUILD)/$*.log; exit 1; }
	@grep -h DONE $(BUILD)/$*.log | sed 's/^/          /'

# What reads bytes that others wrote. An archive, so that a fuzzer takes of it what it needs.
$(BUILD)/libfuzz.a: $(call objc,$(call src,user/base user/net user/lb user/ctl tests/support))
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/%_fuzz: $(BUILD)/objfuzz/%_fuzz.o $(BUILD)/libfuzz.a
	$(call say,LINK,$@)
	$(Q)$(CXX) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

.PRECIOUS: $(BUILD)/objfuzz/%.o $(BUILD)/obj/tests/bench/%.o $(BUILD)/%_fuzz $(BUILD)/%_bench
$(BUILD)/objfuzz/%.o: tests/fuzz/%.cpp $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CCACHE) $(CXX) $(CPPFLAGS) -DXDPLB_CHECKS=1 -DFUZZ_TARGET_MAIN $(CXXFLAGS) -MMD -MP -c -o $@ $<

# --- the rig: xdplb against its peers, over veth (tests/bench/README.md) ---------------------------------------

# Peers and valgrind. Where they cannot be had, their rows say so.
BENCH_PKGS := dpdk-dev valgrind

.PHONY: deps-bench
deps-bench: deps
	-$(call install_missing,$(BENCH_PKGS))

BENCH ?= full

.PHONY: bench
bench: deps-bench ## xdplb against its peers over veth (root); BENCH=quick: 2 minutes instead of a quarter of an hour
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/redirect_kern.o
	$(Q)XDPLB_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench $(BENCH)

$(BUILD)/redirect_kern.o: tests/bench/redirect_kern.c
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

# --- micro-benchmarks: what single steps cost (Google Benchmark) ------------------------------------------

BENCHES := $(patsubst tests/bench/%.cpp,$(BUILD)/%,$(wildcard tests/bench/*_bench.cpp))

.PHONY: bench-steps
bench-steps: $(BENCHES) ## what single steps of the packet path and of a configuration change cost
	$(Q)for b in $(BENCHES); do $$b || exit 1; done

PIPELINE_BENCHES := $(BUILD)/pipeline_bench $(BUILD)/change_bench $(BUILD)/table_bench

.PHONY: bench-pipeline
bench-pipeline: $(PIPELINE_BENCHES) ## the packet path in memory: ns and instructions a packet; Maglev; a change in force
	$(Q)$(BUILD)/pipeline_bench
	$(Q)tests/bench/instructions $(BUILD)/pipeline_bench
	$(Q)$(BUILD)/change_bench
	$(Q)$(BUILD)/table_bench --benchmark_filter='maglev.*weights:0'

# An archive, so that each takes of it what it needs.
$(BUILD)/libbench.a: $(call obj,$(LIB_SRC) tests/support/packet.cpp tests/bench/pipeline_rig.cpp)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/%_bench: $(BUILD)/obj/tests/bench/%_bench.o $(BUILD)/libbench.a
	$(call say,LINK,$@)
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lbenchmark

GRAPH_PKGS := gnuplot-nox

.PHONY: deps-graph
deps-graph: deps
	$(call install_missing,$(GRAPH_PKGS))

.PHONY: scale-graph
scale-graph: all deps-graph ## the scaling test as a picture, build/scale.svg: 400 connections, servers go and come (root)
	$(Q)exec env XDPLB_BUILD=$(abspath $(BUILD)) tools/lab/lab sandbox --exclusive -- $(PYTHON) tests/scale_graph.py \
	    $(BUILD)/scale.svg

.PHONY: vm-test
vm-test: deps-vm ## install what is missing, build, xdplb in virtual machines: zero copy, an old kernel (tests/vm)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/vm/run --build $(BUILD)

# --- lint -------------------------------------------------------------------------------------------------

CXX_FILES = $(shell git ls-files '*.cpp' '*.h' '*.c')
# clang-tidy leaves the tests out: Catch2's macros take it longer than all the rest together.
TIDY_FILES = $(filter-out tests/%,$(shell git ls-files '*.cpp'))

.PHONY: lint
lint: deps-lint ## clang-format, clang-tidy and shellcheck
	$(Q)clang-format --dry-run -Werror $(CXX_FILES)
	$(Q)shellcheck $$(git grep -lE '^#!.*\b(ba)?sh\b' -- . ':!*.md')
	$(Q)printf '%s\n' $(TIDY_FILES) | xargs -P $$(nproc) -n 4 sh -c \
	    'clang-tidy --quiet "$$@" -- -std=c++20 -I. -D_GNU_SOURCE -DXDPLB_VERSION=\"lint\" -Wno-unknown-warning-option 2>/dev/null' tidy

# --- install ----------------------------------------------------------------------------------------------

BINDIR  = $(DESTDIR)$(PREFIX)/bin
LIBDIR  = $(DESTDIR)$(PREFIX)/lib/xdplb
MANDIR  = $(DESTDIR)$(PREFIX)/share/man/man8
DOCDIR  = $(DESTDIR)$(PREFIX)/share/doc/xdplb
UNITDIR = $(DESTDIR)$(PREFIX)/lib/systemd/system
COMPDIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions

.PHONY: install
install: all ## install into $(DESTDIR)$(PREFIX)
	$(Q)install -d $(BINDIR) $(LIBDIR) $(MANDIR) $(DOCDIR) $(COMPDIR) $(UNITDIR)
	$(Q)install -m 755 $(BINS) $(BINDIR)
	$(Q)install -m 644 $(BUILD)/xdp_vip_kern.o $(LIBDIR)
	$(Q)install -m 644 cmd/xdplb.8 $(MANDIR)
	$(Q)install -m 644 README.md $(wildcard configs/*.json) configs/xdplb.default configs/alerts.yml configs/RUNBOOK.md \
	    configs/METRICS.md $(DOCDIR)
	$(Q)sed 's|/usr/bin/xdplb|$(PREFIX)/bin/xdplb|' configs/xdplb.service > $(UNITDIR)/xdplb.service
	$(Q)$(BUILD)/xdplb completion > $(COMPDIR)/xdplb

.PHONY: uninstall
uninstall: ## remove what install put there
	$(Q)rm -f $(addprefix $(BINDIR)/,$(notdir $(BINS))) $(MANDIR)/xdplb.8 $(COMPDIR)/xdplb \
	    $(UNITDIR)/xdplb.service
	$(Q)rm -rf $(LIBDIR) $(DOCDIR)

# --- the Debian package --------------------------------------------------------------------------------------

.PHONY: deb
deb: deps-package ## install what is missing, build, and make a package for Debian 12, in build/
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tools/package/deb $(abspath $(BUILD)) $(RELEASE)

.PHONY: deps-package
deps-package: deps
	$(call install_missing,$(PACKAGE_PKGS))

PACKAGE_PKGS := dpkg-dev help2man debootstrap

.PHONY: deb-test
deb-test: deb ## install the package in a clean Debian of its own and balance with it (root; downloads 60 MB)
	$(Q)XDPLB_BUILD=$(abspath $(BUILD)) unshare --mount --propagation private $(PYTHON) tests/package.py \
	    $(BUILD)/xdplb_$(RELEASE)_$$(dpkg --print-architecture).deb

.PHONY: clean
clean: ## remove everything that was built
	$(Q)rm -rf build
