# SPDX-License-Identifier: MIT
# The daemon's parties as a model, and each order of what can happen to them: tests/model/daemon.pml.

MODEL     := tests/model/daemon.pml tests/model/launcher.pml tests/model/holding.pml
# One place or two, one owner or two; with two places one death of the front is all that there is time for,
# and what is frozen is counted as what forks is.
# What is about no context may come at any moment: for that fewer die, and there is one of each kind.
MODEL_FEWER := -DPLACES=1,-DONE_OWNER,-DFRONT_DEATHS=1,-DCLIENT_DEATHS=0,-DWARDEN_DEATHS=0
MODEL_RUNS := -DPLACES=2,-DFRONT_DEATHS=1,-DNOTICES=false -DPLACES=1 -DPLACES=1,-DONE_OWNER \
              $(MODEL_FEWER),-DPRESSES=1 $(MODEL_FEWER),-DCONFIGS=1 $(MODEL_FEWER),-DTALLIES=1 \
              -DPLACES=1,-DONE_OWNER,-DFRONT_DEATHS=1,-DTRACES=2 \
              -DPLACES=1,-DONE_OWNER,-DFRONT_DEATHS=0,-DHOLDS=1 $(MODEL_FEWER),-DHOLDS=1
MODEL_CC  := $(CC) -O2 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=2048

$(B)/model/tables: tests/model/tables.c $(B)/libcloche.a
	$(call say,MODEL,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(TEST_LDFLAGS) -o $@ $< $(B)/libcloche.a $(LIBS)

# A kind of message or state that the model has no name of makes it no model of ours; but for those that
# are about no context and change none: to stop, images, kept traces. A daemon's wardens are not told to leave, they
# are killed.
.PHONY: check-model lint-model
lint-model: $(B)/model/tables
	$(Q)$< >$(B)/model/tables.pml && cp $(MODEL) $(B)/model
	$(Q)for word in $$(sed -n 's/^#define \([A-Z_]*\) .*/\1/p' $(B)/model/tables.pml) \
		$$(sed -n 's/^\t\(REPLY_[A-Z]*\),.*/\1/p' sandbox/serve/command.h); do \
		case $$word in \
			REPLY_STOP | WARDEN_LEAVE | *_STORES | COMMAND_SHOW | REPLY_SHOWN | COMMAND_BUILD | COMMAND_REMOVE | COMMAND_LEAVE | \
				BUILDING | REPLY_BUILDING | REPLY_DONE) continue ;; \
		esac; \
		grep -qw $$word $(MODEL) || { echo "$(firstword $(MODEL)) does not know $$word of serve/command.h or launch/warden.h" >&2; exit 1; }; \
	done

# Side by side, each in a place of its own, the longest first.
check-model: lint-model ## the daemon's protocol, in every order of messages and deaths (spin, minutes)
	$(Q)rm -rf $(B)/model/*/; printf '%s\n' $(MODEL_RUNS) | xargs -P $$(nproc) -I RUN sh tests/model/check.sh $(B)/model RUN '$(MODEL_CC)'; \
	passed=$$(cat $(B)/model/*/passed 2>/dev/null | wc -l); \
	sh tests/run.sh --tell check-model $$passed $$(($(words $(MODEL_RUNS)) - passed)) 0
