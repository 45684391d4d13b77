# SPDX-License-Identifier: MIT
# Other people's clients of the Runtime API, unmodified.

# Its libcurl and its C++ are built here, which takes a minute or two: autoconf, automake, libtool,
# cmake, g++ and make do that.
RIC := $(abspath build/clients)
$(RIC)/node_modules/aws-lambda-ric/dist/rapid-client.node:
	$(call say,NPM,aws-lambda-ric)
	@mkdir -p $(RIC)
	$(Q)sh tests/deps.sh clients
	$(Q)cd $(RIC) && npm install --no-audit --no-fund --prefix . aws-lambda-ric >npm.log 2>&1 || \
		{ cat npm.log >&2; exit 1; }

CLIENTS := $(B)/tests/clients/ric
$(CLIENTS): LIBS += -lmicrohttpd
$(CLIENTS): $(B)/%: %.c $(TLIB_OBJ) $(B)/libcloche.a
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $(TEST_LDFLAGS) -o $@ $< $(TLIB_OBJ) $(B)/libcloche.a $(LIBS) -lcriterion

.PHONY: check-clients
check-clients: $(CLIENTS) $(RIC)/node_modules/aws-lambda-ric/dist/rapid-client.node
	@RIC=$(RIC) TEST_LIMIT=120 sh tests/run.sh clients $(CLIENTS)
