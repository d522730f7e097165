/* SPDX-License-Identifier: MIT */
/* What one process of a crew does. */
#ifndef PLAN_POSTGRES_CREW_MEMBER_H
#define PLAN_POSTGRES_CREW_MEMBER_H

struct crew;
struct member;

/* In the new process; its exit code is 0 when it was asked to stop or nothing is left to do. */
_Noreturn void crew_member_run(const struct crew *crew, struct member *member);

#endif
