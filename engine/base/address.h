/* SPDX-License-Identifier: MIT */
/* Network addresses as they stand in URLs. */
#ifndef PLAN_ADDRESS_H
#define PLAN_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* 127.0.0.0/8 or [::1], written as an address: what a name leads to is not asked. */
bool address_is_loopback(const char *host, size_t length);

#endif
