# ctseg: build, test and try.  All output lies below build/.

SHELL =		/bin/bash
.SHELLFLAGS =	-eu -o pipefail -c
.DEFAULT_GOAL =	help
.SUFFIXES:
.DELETE_ON_ERROR:

CC =		gcc
NGINX_SRC =	/usr/share/nginx/src
BUILD =		build
PROFILE =	release
JOBS :=		$(shell nproc 2>/dev/null || echo 2)
MAKEFLAGS +=	-j$(JOBS) --no-print-directory

# what is built from what

NAME =		ngx_http_ctseg_module
OUT :=		$(abspath $(BUILD))
MODULE =	$(OUT)/$(NAME).so
SOURCES :=	$(sort $(wildcard $(NAME).c src/*/*.c src/*/*.h \
			src/dashboard/*))
PURE :=		$(sort $(wildcard $(foreach room,base model store clevertap \
			segment outbox,src/$(room)/ctseg*.c)))
UNITS :=	$(sort $(wildcard t/unit/*/test_*.c))
FUZZERS :=	$(sort $(wildcard t/fuzz/fuzz_*.c))
OPENAPI =	$(OUT)/lint/openapi
SDK =		$(OUT)/sdk

# flags; the warnings of the module are nginx's own, as errors

SANITIZE_release =
SANITIZE_asan =	-fsanitize=address,undefined -fno-omit-frame-pointer
SANITIZE_tsan =	-fsanitize=thread -fno-omit-frame-pointer
OPT_release =	-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2
OPT_asan =	-O1
OPT_tsan =	-O1

# nginx itself compares and copies empty strings at NULL

MODULE_asan =	-fno-sanitize=alignment,nonnull-attribute,pointer-overflow

CC_OPT =	-g $(OPT_$(PROFILE)) -fPIC -Wformat -Wformat-security \
		$(SANITIZE_$(PROFILE)) $(MODULE_$(PROFILE))
LD_OPT =	-fPIC -Wl,-z,relro -Wl,-z,now $(SANITIZE_$(PROFILE))

WARN =		-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion \
		-Werror
UNIT_CFLAGS =	-std=c11 -D_GNU_SOURCE -g -O1 $(WARN) \
		$(SANITIZE_$(PROFILE))
UNIT_LIBS =	-lcmocka -lyajl -llmdb -lcurl -lcrypto -lz -lpthread

# fuzz targets are always watched, also in their short form

CLANG =		clang
FUZZ_CFLAGS =	-std=c11 -D_GNU_SOURCE -g -O1 $(WARN) \
		-fsanitize=address,undefined -fno-sanitize-recover=all \
		-fno-omit-frame-pointer
FUZZ_LIBS =	-lyajl -llmdb -lcrypto -lz -lpthread
FUZZ_SECONDS ?=	60
FUZZ_JOBS ?=	2
FUZZ ?=		$(FUZZ_NAMES)

# what belongs to the tests in one profile only

ALSO_release =	fuzzers threads

# for the tests

TESTS ?=
V ?=
TEST_JOBS ?=	2
export CTSEG_DEPS


.PHONY: help
help: ## this list
	@echo "usage: make TARGET [VARIABLE=value]"
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1	\2/p' Makefile
	@echo
	@echo "TESTS=\"t/30-api.t\" narrows the tests, V=1 shows every line."
	@echo "Packages that are missing are installed by apt-get first;"
	@echo "CTSEG_DEPS=no leaves that to you."


# ---- the module ----

.PHONY: build
build: deps-build $(OUT)/nginx/configured ## the module: build/ngx_http_ctseg_module.so
	@+$(MAKE) $(if $(V),,-s) -f $(OUT)/nginx/Makefile -C $(NGINX_SRC) modules
	@if ! cmp -s $(OUT)/nginx/$(NAME).so $(MODULE); then \
		cp $(OUT)/nginx/$(NAME).so $(MODULE).new; \
		mv $(MODULE).new $(MODULE); \
		echo "built $(patsubst $(CURDIR)/%,%,$(MODULE))"; \
	fi

# Debian's recipe for modules.  It needs to run again only when the list of
# files, the flags or nginx-dev have changed: what the generated Makefile does
# with a changed file is right, headers included (ngx_module_deps).

$(OUT)/nginx/configured: config $(OUT)/inputs \
		$(wildcard $(NGINX_SRC)/conf_flags) | deps-build
	@rm -rf $(OUT)/nginx
	@mkdir -p $(OUT)/nginx
	@echo "configuring, see $(patsubst $(CURDIR)/%,%,$(OUT))/configure.log"
	@cd $(NGINX_SRC) && . ./conf_flags && CC="$(CC)" ./configure \
		--with-cc-opt="$(CC_OPT)" --with-ld-opt="$(LD_OPT)" \
		"$${NGX_CONF_FLAGS[@]}" --add-dynamic-module=$(CURDIR) \
		--builddir=$(OUT)/nginx > $(OUT)/configure.log 2>&1 \
		|| { tail -n 20 $(OUT)/configure.log; exit 1; }
	@touch $@

.PHONY: always
$(OUT)/inputs: always
	@mkdir -p $(OUT)
	@printf '%s\n' "$(CC) $(CC_OPT) $(LD_OPT)" "$(NGINX_SRC) $(CURDIR)" \
		$(SOURCES) > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@


# ---- try it ----

.PHONY: demo
demo: deps-demo build ## collect and export against a local mock of Segment, in a minute
	@t/tools/demo.sh demo

.PHONY: run
run: deps-demo build ## the same nginx in the foreground, until ^C
	@t/tools/demo.sh run


# ---- tests ----

.PHONY: test
test: prepare ## all tests; TESTS="t/30-api.t" for some of them
	@BUILD=$(OUT) V=$(V) TEST_JOBS=$(TEST_JOBS) t/tools/prove.sh $(TESTS)

.PHONY: prepare
prepare: deps-test build units shims browser $(SDK)/installed \
		$(ALSO_$(PROFILE))

.PHONY: unit
unit: deps-test units ## only the tests of the plain C below the line
	@BUILD=$(OUT) V=$(V) TEST_JOBS=$(TEST_JOBS) t/tools/prove.sh \
		$(patsubst $(CURDIR)/%,%,$(UNIT_BINS))

.PHONY: asan
asan: deps-test ## the tests under AddressSanitizer and UBSan
	@$(MAKE) prepare PROFILE=asan BUILD=$(BUILD)/asan
	@export CTSEG_ASAN=1 ASAN_OPTIONS=detect_leaks=1 \
		CTSEG_PRELOAD="$$($(CC) -print-file-name=libasan.so)"; \
		BUILD=$(OUT)/asan V=$(V) TEST_JOBS=$(TEST_JOBS) \
		t/tools/prove.sh $(or $(TESTS),$(wildcard t/[2-7]*.t) \
		$(patsubst %,$(BUILD)/asan/unit/%,$(UNIT_NAMES)))

# what takes chances, with many more of them than "make test" does

SEEDS ?=	1..100

.PHONY: torture
torture: prepare ## power cuts and random sequences at length; SEEDS=1..100
	@CTSEG_SEEDS=$(SEEDS) BUILD=$(OUT) V=$(V) TEST_JOBS=$(TEST_JOBS) \
		t/tools/prove.sh $(OUT)/unit/store/test_store_power \
		t/44-model.t

SOAK_SECONDS ?=	600

.PHONY: soak
soak: prepare ## a long mixed load, and what it costs; SOAK_SECONDS=600
	@CTSEG_SOAK_SECONDS=$(SOAK_SECONDS) BUILD=$(OUT) V=1 \
		t/tools/prove.sh t/90-soak.t

# the other way round: the product is broken on purpose, and the tests must
# notice; in a copy of the tree

MUTANTS ?=

.PHONY: mutants
mutants: deps-test ## does a test notice each deliberate break? MUTANTS="ack-early cut-*"
	@t/tools/mutants.pl $(foreach name,$(MUTANTS),'$(name)')

# of the plain C, whose threads are those of the tests; nginx and its pools are
# not made for it

.PHONY: tsan
tsan: deps-test ## the unit tests under ThreadSanitizer
	@$(MAKE) units PROFILE=tsan BUILD=$(BUILD)/tsan
	@export TSAN_OPTIONS=second_deadlock_stack=1; \
		BUILD=$(OUT)/tsan V=$(V) TEST_JOBS=$(TEST_JOBS) \
		t/tools/prove.sh $(or $(TESTS), \
		$(patsubst %,$(BUILD)/tsan/unit/%,$(UNIT_NAMES)))

# the short form of it, part of every test

.PHONY: threads
threads: deps-test
	@MAKEFLAGS= $(MAKE) --no-print-directory CC="$(CC)" PROFILE=tsan \
		BUILD=$(BUILD)/tsan \
		$(OUT)/tsan/unit/store/test_store_many

.PHONY: guard
guard: prepare ## the tests while no call may block the event loop
	@CTSEG_GUARD=1 BUILD=$(OUT) V=$(V) TEST_JOBS=$(TEST_JOBS) \
		t/tools/prove.sh $(or $(TESTS),$(wildcard t/[2-7]*.t))

.PHONY: fuzz
fuzz: deps-fuzz fuzzers-clang ## libFuzzer on what reads foreign bytes; FUZZ_SECONDS=600 FUZZ=json
	@printf '%s\n' $(FUZZ) | BUILD=$(OUT) xargs -P $(FUZZ_JOBS) -I T \
		t/tools/fuzz.sh T $(FUZZ_SECONDS)

# uninitvar: cppcheck takes the address of a struct for its use; the analyzer
# of gcc, below, knows better

.PHONY: lint
lint: deps-lint build units $(OPENAPI)/installed ## cppcheck, gcc's analyzer, the source gates, OpenAPI
	@cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr \
		--enable=warning,performance,portability -j 2 \
		--suppress=missingInclude --suppress=uninitvar \
		$(PURE)
	@cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr \
		-j 2 $(wildcard $(NAME).c src/*/ngx_*.c)
	@mkdir -p $(OUT)/lint
	@printf '%s\n' $(PURE) | xargs -n 1 -P 2 -I F $(CC) -std=c11 \
		-D_GNU_SOURCE -O1 -fanalyzer $(WARN) -c F -o /dev/null
	@NODE_PATH=$(OPENAPI)/node_modules node t/tools/openapi/lint.js \
		docs/openapi.yaml
	@CTSEG_MODULE=$(MODULE) prove -It/lib t/00-*.t

define NPM_CI
	@mkdir -p $(@D)
	@cp $^ $(@D)
	@echo "npm ci in $(patsubst $(CURDIR)/%,%,$(@D))"
	@npm ci --prefix $(@D) --cache $(@D)/cache --ignore-scripts \
		--no-audit --no-fund --no-update-notifier --loglevel=error \
		> /dev/null
	@touch $@
endef

# the linter of docs/openapi.yaml; its versions and checksums are in the lock

$(OPENAPI)/installed: $(wildcard t/tools/openapi/package*.json) | deps-lint
	$(NPM_CI)

# CleverTap's own SDK, for t/29-sdk.t, in the same way

$(SDK)/installed: $(wildcard t/tools/sdk/package*.json) | deps-test
	$(NPM_CI)

# what drives Chromium in the tests of the dashboard

BROWSER =	$(OUT)/browser

.PHONY: browser
browser: $(BROWSER)/installed

$(BROWSER)/installed: $(wildcard t/browser/package*.json) | deps-test
	$(NPM_CI)

.PHONY: screenshots
screenshots: prepare ## pictures of the dashboard: build/screenshots
	@mkdir -p $(OUT)/screenshots
	@CTSEG_BUILD=$(OUT) CTSEG_MODULE=$(MODULE) \
		t/tools/screenshots.pl $(OUT)/screenshots


# ---- the benchmark ----

ROWS ?=
RUNS ?=

.PHONY: bench
bench: deps-bench build bench-tools ## every figure of docs/performance.md on this machine; ROWS=1,3,8 RUNS=3
	@BUILD=$(OUT) perl t/bench/bench.pl $(if $(ROWS),--rows $(ROWS)) \
		$(if $(RUNS),--runs $(RUNS))

.PHONY: bench-quick
bench-quick: deps-bench build bench-tools ## the same in a minute, to see that no event is lost
	@BUILD=$(OUT) perl t/bench/bench.pl --quick \
		$(if $(ROWS),--rows $(ROWS))

# what is measured beside it is installed for this alone

PEERS =		$(OUT)/bench/peers

.PHONY: bench-peers
bench-peers: deps-peers build bench-tools $(PEERS)/installed ## rows 1 to 5 for what people would use instead; RUNS=3
	@BUILD=$(OUT) perl t/bench/bench.pl --peers $(if $(RUNS),--runs $(RUNS))

$(PEERS)/installed: $(wildcard t/bench/peers/package*.json) | deps-peers
	$(NPM_CI)

# what the benchmark measures with: each file of t/bench with a main() is a
# program in build/bench, and may use the other ones

BENCH_FILES :=	$(sort $(wildcard t/bench/*.c))
BENCH_MAINS :=	$(if $(BENCH_FILES),$(shell grep -l '^main\>' $(BENCH_FILES)))
BENCH_BINS :=	$(patsubst t/bench/%.c,$(OUT)/bench/%,$(BENCH_MAINS))
BENCH_OBJS :=	$(patsubst t/bench/%.c,$(OUT)/bench/obj/%.o, \
			$(filter-out $(BENCH_MAINS),$(BENCH_FILES)))
BENCH_CFLAGS =	-std=c11 -D_GNU_SOURCE -g -O2 $(WARN)
YARD_NAME =	ngx_http_ctseg_yard_module
YARD =		$(OUT)/bench/$(YARD_NAME).so
YARD_FILES :=	$(addprefix t/bench/yard/,config $(YARD_NAME).c)

.PHONY: bench-tools
bench-tools: $(BENCH_BINS) $(YARD)

$(OUT)/bench/obj/%.o: t/bench/%.c $(wildcard t/bench/*.h) | deps-build
	@mkdir -p $(@D)
	@echo "cc $<"
	@$(CC) $(BENCH_CFLAGS) -c $< -o $@

$(OUT)/bench/libbench.a: $(BENCH_OBJS)
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^

$(BENCH_BINS): $(OUT)/bench/%: t/bench/%.c $(OUT)/bench/libbench.a \
		$(wildcard t/bench/*.h) | deps-build
	@echo "cc $<"
	@$(CC) $(BENCH_CFLAGS) $< $(OUT)/bench/libbench.a -o $@

# the yardstick is built as the module is

$(YARD): $(YARD_FILES) $(OUT)/inputs \
		$(wildcard $(NGINX_SRC)/conf_flags) | deps-build
	@rm -rf $(OUT)/bench/yard
	@mkdir -p $(OUT)/bench/yard
	@cd $(NGINX_SRC) && . ./conf_flags && CC="$(CC)" ./configure \
		--with-cc-opt="$(CC_OPT)" --with-ld-opt="$(LD_OPT)" \
		"$${NGX_CONF_FLAGS[@]}" \
		--add-dynamic-module=$(CURDIR)/t/bench/yard \
		--builddir=$(OUT)/bench/yard > $(OUT)/bench/configure.log 2>&1 \
		|| { tail -n 20 $(OUT)/bench/configure.log; exit 1; }
	@+$(MAKE) $(if $(V),,-s) -f $(OUT)/bench/yard/Makefile \
		-C $(NGINX_SRC) modules
	@mv $(OUT)/bench/yard/$(YARD_NAME).so $@
	@echo "built $(patsubst $(CURDIR)/%,%,$@)"


# ---- the plain C and its tests ----

UNIT_NAMES :=	$(patsubst t/unit/%.c,%,$(UNITS))
UNIT_BINS :=	$(patsubst %,$(OUT)/unit/%,$(UNIT_NAMES))
UNIT_OBJS :=	$(patsubst src/%.c,$(OUT)/unit/obj/%.o,$(PURE))

.PHONY: units
units: $(UNIT_BINS)

$(OUT)/unit/obj/%.o: src/%.c $(OUT)/unit/flags | deps-test
	@mkdir -p $(@D)
	@echo "cc $<"
	@$(CC) $(UNIT_CFLAGS) -MMD -MP -c $< -o $@

# the archive holds what is there now, nothing of a file that was removed

$(OUT)/unit/libctseg.a: $(UNIT_OBJS) $(OUT)/inputs
	@rm -f $@
	@ar rcs $@ $(UNIT_OBJS)

# a test may ask for more at the link: a line " * link: -Wl,--wrap=malloc"

$(UNIT_BINS): $(OUT)/unit/%: t/unit/%.c $(OUT)/unit/libctseg.a
	@mkdir -p $(@D) $(OUT)/unit/obj/t/$(*D)
	@echo "cc $<"
	@$(CC) $(UNIT_CFLAGS) -Isrc -It/unit -MMD -MP \
		-MF $(OUT)/unit/obj/t/$*.d -MT $@ $< -o $@ \
		$$(sed -n 's/^ \* link: //p' $<) \
		$(OUT)/unit/libctseg.a $(UNIT_LIBS)

$(OUT)/unit/flags: always
	@mkdir -p $(@D)
	@echo "$(CC) $(UNIT_CFLAGS)" > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# fuzz targets, twice: build/fuzz/fuzz_* runs over the corpus and a little
# beyond it, build/fuzz/clang/fuzz_* is the one with libFuzzer

FUZZ_NAMES :=	$(patsubst t/fuzz/fuzz_%.c,%,$(FUZZERS))
FUZZ_BINS :=	$(patsubst %,$(OUT)/fuzz/fuzz_%,$(FUZZ_NAMES))
FUZZ_CLANG :=	$(patsubst %,$(OUT)/fuzz/clang/fuzz_%,$(FUZZ_NAMES))
FUZZ_OBJS :=	$(patsubst src/%.c,$(OUT)/fuzz/obj/%.o,$(PURE))
FUZZ_OBJS_CL :=	$(patsubst src/%.c,$(OUT)/fuzz/clang/obj/%.o,$(PURE))

.PHONY: fuzzers fuzzers-clang
fuzzers: $(FUZZ_BINS)
fuzzers-clang: $(FUZZ_CLANG)

$(OUT)/fuzz/obj/%.o: src/%.c $(OUT)/fuzz/flags | deps-test
	@mkdir -p $(@D)
	@$(CC) $(FUZZ_CFLAGS) -MMD -MP -c $< -o $@

$(OUT)/fuzz/clang/obj/%.o: src/%.c $(OUT)/fuzz/flags | deps-fuzz
	@mkdir -p $(@D)
	@$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

$(OUT)/fuzz/libctseg.a: $(FUZZ_OBJS) $(OUT)/inputs
	@rm -f $@
	@ar rcs $@ $(FUZZ_OBJS)

$(OUT)/fuzz/clang/libctseg.a: $(FUZZ_OBJS_CL) $(OUT)/inputs
	@rm -f $@
	@ar rcs $@ $(FUZZ_OBJS_CL)

$(FUZZ_BINS): $(OUT)/fuzz/fuzz_%: t/fuzz/fuzz_%.c t/fuzz/driver.c \
		$(wildcard t/fuzz/*.h) $(OUT)/fuzz/libctseg.a
	@echo "cc $<"
	@$(CC) $(FUZZ_CFLAGS) -Isrc $< t/fuzz/driver.c -o $@ \
		$(OUT)/fuzz/libctseg.a $(FUZZ_LIBS)

$(FUZZ_CLANG): $(OUT)/fuzz/clang/fuzz_%: t/fuzz/fuzz_%.c \
		$(wildcard t/fuzz/*.h) $(OUT)/fuzz/clang/libctseg.a
	@echo "$(CLANG) $<"
	@$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer -Isrc $< -o $@ \
		$(OUT)/fuzz/clang/libctseg.a $(FUZZ_LIBS)

$(OUT)/fuzz/flags: always
	@mkdir -p $(@D)/clang
	@echo "$(CC) $(CLANG) $(FUZZ_CFLAGS)" > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# shared objects that tests put before the system's (LD_PRELOAD)

SHIMS :=	$(patsubst t/fault/%.c,$(OUT)/%.so,$(wildcard t/fault/*.c))

.PHONY: shims
shims: $(SHIMS)

$(OUT)/%.so: t/fault/%.c | deps-test
	@mkdir -p $(@D)
	@echo "cc $<"
	@$(CC) -std=c11 -D_GNU_SOURCE -g -O1 $(WARN) -fPIC -shared $< -o $@ \
		$$(sed -n 's/^ \* link: //p' $<) -ldl -lpthread

-include $(FUZZ_OBJS:.o=.d) $(FUZZ_OBJS_CL:.o=.d)
-include $(UNIT_OBJS:.o=.d) $(patsubst %,$(OUT)/unit/obj/t/%.d,$(UNIT_NAMES))


# ---- the rest ----

.PHONY: deps deps-build deps-test deps-lint deps-bench deps-peers deps-demo \
	deps-fuzz
deps: deps-test
deps-build deps-test deps-lint deps-bench deps-peers deps-demo deps-fuzz:
	@t/tools/deps.sh $(patsubst deps-%,%,$@)

.PHONY: clean
clean: ## remove build/
	rm -rf build
