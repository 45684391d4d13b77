/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_PARTS_H
#define CLOCHE_RUN_PARTS_H

struct outcome;

/*
 * An invocation whose process was started again within it has two parts, each with an outcome of
 * its own: the init of that process, and what came of the event (run/kept.h). From here on *out is
 * that of both: it began with init, it took and used what both did together, and how it ended is
 * the event's to say. Between the two the process was frozen, which is nobody's time. What is not
 * known of one is not known of both. Pure.
 */
void parts_join(struct outcome *out, const struct outcome *init);

#endif
