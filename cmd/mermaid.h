/* SPDX-License-Identifier: MIT */
/* A plan as a Mermaid flowchart, for pull requests. */
#ifndef PLAN_MERMAID_H
#define PLAN_MERMAID_H

#include "engine/base/text.h"
#include "engine/plan.h"

/* What GitHub draws: the defaults of Mermaid, less a little. */
#define MERMAID_BYTES 49000
#define MERMAID_EDGES 499

/* Adds the chart: steps in the order of the plan, and never more than GitHub draws. Gives how many
 * steps had to be left out; the chart says so too. */
size_t mermaid_write(const struct plan *plan, struct text *out);

#endif
