# pg_journey: customer journeys in PostgreSQL. "make help" lists the targets.

EXTENSION = pg_journey
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" pg_journey.control)

MODULE_big = pg_journey
OBJS = $(patsubst %.c,%.o,$(wildcard src/*.c src/*/*.c))
PG_CPPFLAGS = -I$(CURDIR)/src
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
# What not every compiler knows. Calls inside the library stay inside: no clash with another one's names, no PLT. macOS's
# linker does so anyway.
PG_CFLAGS += $(foreach flag,-Wno-clobbered -fno-semantic-interposition,$(shell \
	$(CC) -Werror $(flag) -fsyntax-only -x c /dev/null 2>/dev/null && echo $(flag)))
SHLIB_LINK += $(if $(filter darwin,$(PORTNAME)),,-Wl,-Bsymbolic-functions)

# International domain names of e-mail addresses
PG_CPPFLAGS += $(shell pkg-config --cflags libidn2 2>/dev/null)
SHLIB_LINK += $(shell pkg-config --libs libidn2 2>/dev/null || echo -lidn2)

# Payloads of other systems
PG_CPPFLAGS += $(shell pkg-config --cflags json-c 2>/dev/null)
SHLIB_LINK += $(shell pkg-config --libs json-c 2>/dev/null || echo -ljson-c)

SQL_PARTS = $(sort $(wildcard sql/parts/*.sql))
HUB_PARTS = $(sort $(wildcard sql/hub/*.sql)) $(wildcard sql/hub/migrations/*.sql)
DATA_built = sql/pg_journey--$(EXTVERSION).sql
DATA = $(filter-out $(DATA_built),$(wildcard sql/pg_journey--*--*.sql))
EXTRA_CLEAN = $(DATA_built)

REGRESS = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --load-extension=pg_journey
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=pg_journey

# The demo and the tests install what is missing, so they must work before
# there is a PostgreSQL to include the rules of.
PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
ifneq ($(PGXS),)
include $(PGXS)
else
all install installcheck clean:
	@echo "PostgreSQL's development files are missing: install postgresql-server-dev-NN," >&2
	@echo "or set PG_CONFIG, or let 'make demo' or 'make test' install them." >&2
	@exit 1
endif

$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h src/*/*.h)

# The hub's template is a function of the extension, a row for each file. What is alike for all hubs is filled in here: the
# language, which runs in no other schema, the version, and where the tags of dollar-quoted strings get what the hub's name lacks.
# sql/hub/migrations/VERSION.sql, the part "migration VERSION", changes tables of hubs that are older than that.
TEMPLATE = sed -E -e 's/LANGUAGE plpgsql/LANGUAGE journey_plpgsql/' -e 's/@version@/$(EXTVERSION)/' -e 's/\$$([A-Za-z0-9_]*)\$$/$$\1@tag@$$/g'
$(DATA_built): $(SQL_PARTS) $(HUB_PARTS) Makefile
	@{ cat $(SQL_PARTS) && \
	echo && echo 'CREATE FUNCTION journey_hub_template(OUT part text, OUT script text) RETURNS SETOF record' && \
	echo 'LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 10 SET search_path = pg_catalog, pg_temp' && echo 'AS $$template$$' && \
	for part in $(HUB_PARTS); do \
		echo "$${union:-VALUES }('$$(echo $$part | sed -e 's,.*/migrations/,migration ,' -e 's,.*/,,' -e 's,[.]sql$$,,')', \$$part\$$" && $(TEMPLATE) $$part && echo '$$part$$)' || exit; union=', '; \
	done && echo '$$template$$;' && \
	echo "COMMENT ON FUNCTION journey_hub_template() IS 'what journey_create_hub makes a hub from';"; } > $@ || { rm -f $@; exit 1; }

.PHONY: help demo test slowtest releasecheck dist deb pgtapcheck tapcheck clientcheck cituscheck fuzzcheck asancheck valgrindcheck versioncheck upgradecheck portcheck chrootcheck bench

help: ## this list
	@echo "make, make install and make installcheck are PGXS's; installcheck needs a running server. Besides:"
	@sed -n 's/^\([a-z]*\): ## /\1@/p' Makefile | awk -F@ '{ printf "  make %-14s %s\n", $$1, $$2 }'
	@echo "PG_CONFIG=/path/to/pg_config chooses the PostgreSQL, 15 to 18."

demo: ## an example shop in a throw-away cluster; KEEP=1 leaves the cluster up
	@bash demo/run.sh

test: ## every quick test layer, in a throw-away cluster, and one summary
	@bash scripts/test.sh build pgtap regress,parallel+isolation,fuzz+tap

slowtest: ## what takes too long for "make test": storms, large memory, long random runs, all statements with workers
	@bash scripts/test.sh build bitcode dist allparallel slowregress slow

releasecheck: ## before a release: test, slowtest, versioncheck, upgradecheck, portcheck, dist and deb
	@$(MAKE) --no-print-directory test slowtest versioncheck upgradecheck portcheck dist deb

dist: ## the archive for PGXN, build/pg_journey-VERSION.zip, of the last commit
	@bash scripts/dist.sh

deb: ## Debian packages, build/deb, of the last commit: built, installed and tried in chroots; VERSIONS="15 17 18"
	@bash scripts/chroot.sh deb $(VERSIONS)

pgtapcheck: ## pgTAP only: test/pgtap
	@bash scripts/test.sh pgtap

tapcheck: ## TAP only: test/t (dump, crash, replica ...); PROVE_TESTS="test/t/x.pl" for some
	@bash scripts/test.sh tap

clientcheck: ## ODBC, JDBC and Node's pg, which it installs (120 MB); "make test" tries those there are
	@bash scripts/test.sh clients

cituscheck: ## hubs on Citus: test/citus; builds it, in a copy of PostgreSQL, where it is not installed; CITUS_SOURCE=, CITUS_REV=
	@bash scripts/citus.sh $(CITUS_TESTS)

fuzzcheck: ## fuzzers, for minutes: test/fuzz
	@bash scripts/test.sh fuzzlong

asancheck: ## regression tests with AddressSanitizer, UBSan and assertions; ASAN_TESTS="a b" for some
	@bash scripts/test.sh asan

valgrindcheck: ## regression tests under valgrind; VALGRIND_TESTS="a b" for some
	@bash scripts/test.sh valgrind

versioncheck: ## "make test" on other majors in chroots; VERSIONS="17 18", DEBIAN_MIRROR=
	@bash scripts/chroot.sh versions $(VERSIONS)

upgradecheck: ## pg_upgrade of a filled hub from 15 to 18, in a chroot that has both; UPGRADE="15 17", DEBIAN_MIRROR=
	@bash scripts/chroot.sh upgrade $(UPGRADE)

portcheck: ## 32 bits, a big-endian machine (emulated) and clang, in chroots; DEBIAN_MIRROR=
	@bash scripts/chroot.sh portable

chrootcheck: ## proof on a bare Debian: "make demo" and "make test", as root and through sudo
	@bash scripts/chroot.sh bare

bench: ## benchmark, of the installed extension: test/bench; SCALE=0.1 for a tenth
	@PG_CONFIG="$(PG_CONFIG)" bash test/bench/run
