/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_POLICY_LEARN_H
#define CLOCHE_CLI_POLICY_LEARN_H

/* `cloche policy learn`: argv[0] is "learn"; returns the exit status. */
int policy_learn(int argc, char **argv);

#endif
