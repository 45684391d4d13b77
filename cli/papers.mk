# SPDX-License-Identifier: MIT
# What is read and typed: man pages, completions; and what the host's service manager reads. The former go by the tables of options (cli/verb.h), which
# lint holds together.

# The parts of the completions that no table is in.
$(B)/gen/completion_text.h: cli/completion/bash.sh cli/completion/zsh.zsh cli/completion/fish.fish
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)for f in $^; do \
		name=$${f##*/}; echo "static const char completion_$${name%.*}[] ="; \
		sed 's/\\/\\\\/g; s/"/\\"/g; s/\t/\\t/g; s/.*/\t"&\\n"/' $$f; echo ';'; \
	done >$@.tmp && mv $@.tmp $@
$(B)/cli/completion.o: $(B)/gen/completion_text.h
build/lint/cli/completion.c.tidy: | $(B)/gen/completion_text.h

MAN        := $(sort $(wildcard cli/man/*.[1-9]))
BASH_DIR   := $(PREFIX)/share/bash-completion/completions
ZSH_DIR    := $(PREFIX)/share/zsh/site-functions
FISH_DIR   := $(PREFIX)/share/fish/vendor_completions.d

.PHONY: install-papers lint-man
install: install-papers
install-papers: all
	$(Q)for page in $(MAN); do \
		install -D -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; \
	done
	$(Q)install -d $(addprefix $(DESTDIR),$(BASH_DIR) $(ZSH_DIR) $(FISH_DIR))
	$(Q)$(B)/cloche completion bash >$(DESTDIR)$(BASH_DIR)/cloche
	$(Q)$(B)/cloche completion zsh >$(DESTDIR)$(ZSH_DIR)/_cloche
	$(Q)$(B)/cloche completion fish >$(DESTDIR)$(FISH_DIR)/cloche.fish

lint: lint-man
lint-man: all ## man pages and completions against the tables of options
	$(call say,MAN,all)
	$(Q)sh tests/lint-man.sh --self-test $(B)/cloche
	$(Q)sh tests/lint-man.sh $(B)/cloche

# The daemon's unit and user. A package (DESTDIR) leaves the user to the host's sysusers.
UNIT_DIR     := $(PREFIX)/lib/systemd/system
SYSUSERS_DIR := $(PREFIX)/lib/sysusers.d

$(B)/gen/cloched.service: cli/cloched.service.in
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)sed 's|@PREFIX@|$(PREFIX)|' $< >$@.tmp && mv $@.tmp $@

.PHONY: install-service lint-service
install: install-service
install-service: $(B)/gen/cloched.service
	$(Q)install -D -m 0644 $< $(DESTDIR)$(UNIT_DIR)/cloched.service
	$(Q)install -D -m 0644 cli/cloche.sysusers $(DESTDIR)$(SYSUSERS_DIR)/cloche.conf
	$(Q)if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ] && ! getent passwd cloche >/dev/null; then \
		systemd-sysusers $(SYSUSERS_DIR)/cloche.conf || \
		useradd --system --home-dir / --no-create-home --shell /usr/sbin/nologin cloche; \
	fi

# As installed, but for the program, which is the one that was built.
lint: lint-service
lint-service: all
	$(call say,UNIT,cloched.service)
	@mkdir -p $(B)/lint
	$(Q)sed 's|@PREFIX@/bin|$(abspath $(B))|' cli/cloched.service.in >$(B)/lint/cloched.service
	$(Q)! command -v systemd-analyze >/dev/null || systemd-analyze verify --man=no $(B)/lint/cloched.service
