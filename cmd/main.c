/* SPDX-License-Identifier: MIT */
/* The plan command. */
#include "steps/registry.h"

#include <stdio.h>

int main(void)
{
	puts("plan " PLAN_VERSION);
	return steps_registry.modules[0] ? 1 : 0;
}
