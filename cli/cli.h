/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_CLI_H
#define CLOCHE_CLI_CLI_H

/*
 * One file a verb. argv[0] is the verb; the value returned is the exit status. A usage error is
 * one line on standard error and status 2.
 */
#define EXIT_USAGE    2
#define EXIT_TIMEOUT  124
#define EXIT_LAUNCH   125
#define EXIT_NOEXEC   126
#define EXIT_NOTFOUND 127

int cmd_audit(int argc, char **argv);
int cmd_bill(int argc, char **argv);
int cmd_completion(int argc, char **argv);
int cmd_cost(int argc, char **argv);
int cmd_deploy(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_functions(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_invoke(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_remove(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_tune(int argc, char **argv);

#endif
