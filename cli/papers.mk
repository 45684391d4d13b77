# SPDX-License-Identifier: MIT
# What is read and typed: man pages, completions. Both go by the tables of options (cli/verb.h), which
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
