# SPDX-License-Identifier: MIT
# Other people's clients of the Runtime API, unmodified.

# The one for Node.js has the one for C++ in it, and a libcurl. They are built here, which takes a
# minute or two: autoconf, automake, libtool, cmake, g++ and make do that. By the package's own
# scripts; but these remove at the end what a function in C++ is linked with, so they are run here.
CLIENTS_DIR := $(abspath build/clients)
RIC_DIR     := $(CLIENTS_DIR)/node_modules/aws-lambda-ric
$(CLIENTS_DIR)/built:
	$(call say,NPM,aws-lambda-ric)
	@mkdir -p $(@D)
	$(Q)sh tests/deps.sh clients
	$(Q)cd $(@D) && { npm install --ignore-scripts --no-audit --no-fund --prefix . aws-lambda-ric && \
		cd $(RIC_DIR) && npm run preinstall && npm run build:gyp && \
		cp build/Release/rapid-client.node dist/; } >$(@D)/npm.log 2>&1 || \
		{ cat $(@D)/npm.log >&2; exit 1; }
	$(Q)touch $@

CPP_DIR := $(RIC_DIR)/deps/artifacts
$(B)/tests/clients/function/bootstrap: tests/clients/function.cc $(CLIENTS_DIR)/built
	$(call say,C++,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) -O2 -Wall -Wextra -isystem $(CPP_DIR)/include -o $@ $< -L$(CPP_DIR)/lib \
		-laws-lambda-runtime $$($(CPP_DIR)/bin/curl-config --static-libs)

CLIENTS_SRC := $(sort $(wildcard tests/clients/*.c))
CLIENTS := $(CLIENTS_SRC:%.c=$(B)/%)
$(CLIENTS): LIBS += -lmicrohttpd
$(CLIENTS): $(B)/%: %.c $(TLIB_OBJ) $(B)/libcloche.a
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $(TEST_LDFLAGS) -o $@ $< $(TLIB_OBJ) $(B)/libcloche.a $(LIBS) -lcriterion

.PHONY: check-clients
check-clients: all $(CLIENTS) $(CLIENTS_DIR)/built $(B)/tests/clients/function/bootstrap
	@$(SUDO) env $(LIVE_ENV) RIC=$(CLIENTS_DIR) CPP=$(abspath $(B)/tests/clients/function) TEST_LIMIT=120 \
		sh tests/run.sh clients $(CLIENTS)
