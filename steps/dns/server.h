/* SPDX-License-Identifier: MIT */
/* A connection of ldns to one name server. */
#ifndef PLAN_DNS_SERVER_H
#define PLAN_DNS_SERVER_H

#include <stdbool.h> /* before ldns, which makes a bool of its own where there is none yet */

#include <ldns/ldns.h>

struct error;

/* "host", "host:port" or "[v6]:port". NULL when its address cannot be found. */
ldns_resolver *server_open(const char *server, struct error *err);

#endif
